// Text as people see it and as it is counted: code points on one side, the page's UTF-16 on the
// other. Read by reader.js, which is put behind it; text reaches the page by textContent alone.

const DIRECTION = new Set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069");

// What is shown in place of a code point that cannot be seen or that reorders; null: the point itself.
function glyph(point, next) {
  const code = point.codePointAt(0);
  if (point === "\r" && next === "\n") return "";
  if (code < 0x20 && point !== "\n" && point !== "\t") return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  if (DIRECTION.has(point) || (code >= 0x80 && code < 0xa0) || (code >= 0xd800 && code < 0xe000))
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  return null;
}

// The pieces of a text between `cuts` (code points): {start, end, shown, exact}. An exact piece is
// shown as it is written; any other stands for one code point.
export function pieces(points, cuts) {
  const ends = new Set(cuts);
  const found = [];
  let start = 0;
  const close = (end) => {
    if (end > start) found.push({ start, end, shown: points.slice(start, end).join(""), exact: true });
    start = end;
  };
  points.forEach((point, at) => {
    if (ends.has(at)) close(at);
    const shown = glyph(point, points[at + 1]);
    if (shown === null) return;
    close(at);
    found.push({ start: at, end: at + 1, shown, exact: false });
    start = at + 1;
  });
  close(points.length);
  return found;
}

// The code point at which a place in the page stands; `leaves` are the elements of the pieces.
export function pointAt(node, offset) {
  const leaf = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest?.("[data-s]");
  if (leaf) {
    const start = Number(leaf.dataset.s), end = Number(leaf.dataset.e);
    if (node.nodeType !== Node.TEXT_NODE) return offset ? end : start;
    if (leaf.dataset.exact === "") return start + [...node.data.slice(0, offset)].length;
    return offset ? end : start;
  }
  const after = node.childNodes[offset];
  if (after) return Number((after.matches?.("[data-s]") ? after : after.querySelector?.("[data-s]"))?.dataset.s ?? 0);
  const last = [...node.querySelectorAll("[data-s]")].at(-1);
  return last ? Number(last.dataset.e) : 0;
}

// The place in the page at which a code point stands: [node, offset].
export function placeOf(root, point) {
  let last = null;
  for (const leaf of root.querySelectorAll("[data-s]")) {
    const start = Number(leaf.dataset.s), end = Number(leaf.dataset.e);
    last = leaf;
    if (point > end || (point === end && leaf.nextElementSibling)) continue;
    const text = leaf.firstChild;
    if (!text) return [leaf, 0];
    if (leaf.dataset.exact !== "") return [text, point > start ? text.length : 0];
    return [text, [...text.data].slice(0, point - start).join("").length];
  }
  return last?.firstChild ? [last.firstChild, last.firstChild.length] : [root, 0];
}

// White space at the ends belongs to no mark.
export function trimmed(points, start, end) {
  while (start < end && !points[start].trim()) start++;
  while (end > start && !points[end - 1].trim()) end--;
  return [start, end];
}

// The words of a text, in code points and without white space; a sign or an emoji counts as one.
export function wordsOf(points) {
  const found = [];
  let at = 0;
  for (const { segment } of new Intl.Segmenter([], { granularity: "word" }).segment(points.join(""))) {
    const end = at + [...segment].length;
    if (segment.trim()) found.push({ start: at, end });
    at = end;
  }
  return found;
}

// A range with one edge ("start" or "end") moved to the next word (by 1) or the one before (by -1);
// the range as it was where it would become empty or leave the text.
export function stretched(words, range, edge, by) {
  const word = by > 0 ? words.find((one) => one[edge] > range[edge])
                      : words.findLast((one) => one[edge] < range[edge]);
  const moved = { start: range.start, end: range.end, ...(word && { [edge]: word[edge] }) };
  return moved.start < moved.end ? moved : { start: range.start, end: range.end };
}

const bare = (point) => point.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

// All places of a query, in code points, whatever its case and accents; `most` bounds their number.
export function search(points, query, most) {
  const wanted = [...query.trim().normalize("NFC")].map(bare).join("");
  if (!wanted) return [];
  const folded = points.map(bare), at = new Uint32Array(points.length + 1);
  folded.forEach((part, i) => { at[i + 1] = at[i] + part.length; });
  const text = folded.join(""), found = [];
  let point = 0;
  for (let from = text.indexOf(wanted); from >= 0 && found.length < most; from = text.indexOf(wanted, from + wanted.length)) {
    while (at[point + 1] <= from) point++;
    let end = point;
    while (at[end] < from + wanted.length) end++;
    while (end < points.length && at[end + 1] === at[end]) end++;  // accents of the last letter
    found.push({ start: point, end });
  }
  return found;
}
