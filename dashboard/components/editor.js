// A box to write in; with an original, the word diff against it stands below (the correction box).
// Text only ever reaches the page through `value` and `textContent`, never as HTML.

const PAUSE_MS = 600;          // quiet time after which a change is handed to the server
const LARGEST_TABLE = 2000000; // cells of the diff table; above, the middle is shown as one block

function words(text) {
  return text.match(/\s+|[\p{L}\p{M}\p{N}_]+(?:[.,:'’-][\p{L}\p{M}\p{N}_]+)*|[^\s\p{L}\p{M}\p{N}_]/gu) ?? [];
}

// Word diff by the longest common subsequence, after the common head and tail are set aside.
export function diff(before, after) {
  const a = words(before), b = words(after);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head
         && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const parts = [];
  const add = (kind, text) => {
    if (!text) return;
    const last = parts[parts.length - 1];
    if (last && last.kind === kind) last.text += text;
    else parts.push({ kind, text });
  };
  add("same", a.slice(0, head).join(""));
  middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail), add);
  add("same", tail ? a.slice(a.length - tail).join("") : "");
  return grouped(parts);
}

// A space alone between two changes anchors nothing: one removal and one addition read better.
function grouped(parts) {
  const out = [];
  let removed = "", added = "";
  const flush = () => {
    if (removed) out.push({ kind: "removed", text: removed });
    if (added) out.push({ kind: "added", text: added });
    removed = added = "";
  };
  parts.forEach(({ kind, text }, at) => {
    const between = (removed || added) && at + 1 < parts.length;
    if (kind === "removed") removed += text;
    else if (kind === "added") added += text;
    else if (between && !text.trim()) { removed += text; added += text; }
    else { flush(); out.push({ kind, text }); }
  });
  flush();
  return out;
}

function middle(a, b, add) {
  if (a.length * b.length > LARGEST_TABLE) {
    add("removed", a.join(""));
    add("added", b.join(""));
    return;
  }
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i * width + j] = a[i] === b[j]
        ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { add("same", a[i]); i++; j++; }
    else if (i < a.length
             && (j >= b.length || table[(i + 1) * width + j] >= table[i * width + j + 1])) {
      add("removed", a[i]); i++;
    } else { add("added", b[j]); j++; }
  }
}

// As the server does for what it draws: what cannot be seen, or reorders, gets a sign.
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
             (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

function showDiff(place, original, text) {
  if (original === null) return;
  place.replaceChildren();
  if (text === original) {
    place.textContent = "No change yet. What you type is compared with the output here.";
    place.className = "diff quiet";
    return;
  }
  place.className = "diff";
  const tags = { same: "span", removed: "del", added: "ins" };
  for (const part of diff(original, text)) {
    const piece = document.createElement(tags[part.kind]);
    piece.textContent = visible(part.text);
    place.append(piece);
  }
}

function fit(area) {
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight + 2, 480)}px`;
}

// The reasons that are picked and the words beside them, as one line and back.
export function reasonLine(picked, words) {
  return [...picked, words.trim()].filter(Boolean).join("; ");
}

export function reasonParts(line, known) {
  const parts = (line ?? "").split("; ").filter(Boolean);
  const picked = parts.filter((part) => known.includes(part));
  return [picked, parts.filter((part) => !known.includes(part)).join("; ")];
}

// The reasons as the page has them now, as one line.
function reasonNow(root) {
  const on = [...root.querySelectorAll(".chips [aria-pressed=true]")].map((chip) => chip.dataset.reason);
  return reasonLine(on, root.querySelector(".why input").value);
}

function showReasons(root, data, hand) {
  const box = root.querySelector(".why"), chips = root.querySelector(".chips");
  const words = box.querySelector("input");
  const held = `${data.item} reason`;
  box.hidden = !data.reasons.length;
  if (box.hidden) return;
  const [picked, said] = reasonParts(data.reason, data.reasons);
  words.value = said;
  const tell = () => {
    const on = [...chips.querySelectorAll("[aria-pressed=true]")].map((chip) => chip.dataset.reason);
    const line = reasonLine(on, words.value);
    tellUnsent(held, line !== (root.stropReason ?? ""));
    hand(line);
  };
  chips.replaceChildren(...data.reasons.map((reason) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.textContent = chip.dataset.reason = reason;
    chip.setAttribute("aria-pressed", String(picked.includes(reason)));
    chip.onclick = () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      tell();
    };
    return chip;
  }));
  let timer = null;
  words.oninput = () => { tellUnsent(held, true); clearTimeout(timer); timer = setTimeout(tell, PAUSE_MS); };
  words.onblur = () => { clearTimeout(timer); tell(); };
  words.onkeydown = (event) => { if (event.key === "Escape") words.blur(); };
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const area = parentElement.querySelector("textarea");
  const place = parentElement.querySelector(".diff");
  const reset = parentElement.querySelector(".reset");
  const compares = data.original !== null;
  const label = parentElement.querySelector("label");
  label.textContent = data.label;
  label.classList.toggle("unseen", data.unseen);
  reset.hidden = place.hidden = !compares;
  area.classList.toggle("short", !compares);
  if (data.longest) area.maxLength = data.longest;

  let timer = null;
  const hand = () => {
    clearTimeout(timer);
    timer = null;
    if (area.value === area.dataset.sent) return;
    area.dataset.sent = area.value;
    setStateValue("text", area.value);
  };
  const changed = () => {
    tellUnsent(data.item, true);
    showDiff(place, data.original, area.value);
    fit(area);
    clearTimeout(timer);
    timer = setTimeout(hand, PAUSE_MS);
  };

  if (area.dataset.item !== data.item) {   // the first time, or another item
    area.dataset.item = data.item;
    area.value = data.text;
    area.dataset.sent = data.text;
    showDiff(place, data.original, area.value);
    requestAnimationFrame(() => fit(area));
    let told = data.reason ?? "";
    showReasons(parentElement, data, (line) => {
      if (line !== told) setStateValue("reason", told = line);
    });
    if (data.focus) area.focus();
  }
  // What the server took is drawn back to us; what was typed since then is still on its way.
  parentElement.stropReason = data.reason ?? "";
  tellUnsent(data.item, area.value !== data.text);
  if (data.reasons.length) tellUnsent(`${data.item} reason`, reasonNow(parentElement) !== parentElement.stropReason);
  area.oninput = changed;
  area.onblur = hand;
  area.onkeydown = (event) => {
    if (event.key === "Escape") area.blur();
  };
  reset.onclick = () => {
    area.value = data.original;
    changed();
    hand();
    area.focus();
  };
  return endOfDrawing(parentElement, () => {
    clearTimeout(timer);
    tellUnsent(data.item, false);
    tellUnsent(`${data.item} reason`, false);
  });
}
