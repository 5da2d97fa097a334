// Source and output beside each other: links between them, a search, and marks on the output.
// The marks of an item live here; each change is handed to the server, which keeps them as a draft.

const MOST_HITS = 500;
const RAW_TO_MARK = "Switch to raw text to mark.";
const RAW_TO_FIND = "Switch to raw text to search, and to see which claims the source has.";
const STRETCHES = [
  ["start", -1, "+ before", "One word more before"], ["start", 1, "− before", "One word less before"],
  ["end", -1, "− after", "One word less after"], ["end", 1, "+ after", "One word more after"],
];

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function button(text, className, onclick, label) {
  const made = make("button", className, text);
  made.type = "button";
  made.onclick = onclick;
  if (label) made.setAttribute("aria-label", label);
  return made;
}

// Draws a text cut at the ends of its ranges; each piece carries the classes of the ranges it is in.
function draw(place, points, ranges) {
  const cuts = ranges.flatMap((range) => [range.start, range.end]);
  const inside = [...ranges].sort((a, b) => a.start - b.start);
  let open = [], next = 0;
  place.replaceChildren(...pieces(points, cuts).map((piece) => {
    while (next < inside.length && inside[next].start <= piece.start) open.push(inside[next++]);
    open = open.filter((range) => range.end > piece.start);
    const leaf = make("span", "", piece.shown);
    leaf.dataset.s = piece.start;
    leaf.dataset.e = piece.end;
    if (piece.exact) leaf.dataset.exact = "";
    for (const range of open) {
      if (range.kind) leaf.classList.add(...range.kind.split(" "));
      if (range.claim !== undefined) leaf.dataset.claims = `${leaf.dataset.claims ?? ""} ${range.claim} `;
      if (range.number && range.end === piece.end) leaf.dataset.number = range.number;
    }
    return leaf;
  }));
}

class Reader {
  constructor(root) {
    this.root = root.querySelector(".strop-reader");
    this.scroll = this.root.querySelector(".scroll");
    this.told = this.root.querySelector(".spoken");
    this.field = this.root.querySelector("input");
    this.hitsShown = this.root.querySelector(".hits");
    this.outputs = this.root.querySelector(".outputs");
    this.marking = this.root.querySelector(".marking");
    this.wireSearch();
  }

  update(data, hand) {
    const fresh = this.data?.item !== data.item;
    const relinked = JSON.stringify(this.data?.links) !== JSON.stringify(data.links);
    const reformatted = this.data?.formatted !== data.formatted;
    const resized = this.data?.correcting !== data.correcting;
    this.data = data;
    this.hand = hand;
    if (fresh) this.begin();
    else if (reformatted) this.show();
    else if (relinked && this.pressed) this.late = true;  // while words are being selected
    else if (relinked) this.relink();
    tellUnsent("marks", marksAsText(this.marks) !== marksAsText(data.marks));
    tellUnsent("panel", this.panel !== null);
    const atEnd = this.scroll.scrollTop === this.end;
    this.root.classList.toggle("correcting", data.correcting);
    if (resized && atEnd) this.toLastTurn();
    if (data.wanted && data.links === null && this.asked !== data.item) {
      this.asked = data.item;
      requestAnimationFrame(() => setTimeout(() => hand("wants", data.item)));
    }
  }

  begin() {
    const { data } = this;
    this.marks = data.marks.map((mark) => ({ ...mark }));
    this.hold(null);
    this.wordList = null;
    this.unfolded = new Set();
    this.marking.replaceChildren();
    this.show();
  }

  // The texts of the item, raw or formatted; a mark that is being made stays open.
  show() {
    const { data } = this;
    this.pressed = this.late = false;
    this.lit = null;
    this.hits = [];
    this.field.value = "";
    this.hitsShown.textContent = "";
    this.root.classList.remove("finding");
    this.sources = data.sources.map((part) => ({ ...part, points: [...part.text] }));
    this.texts = data.outputs.map((part) => ({ ...part, points: [...part.text] }));
    this.root.classList.toggle("formatted", this.sources.some(isFormatted));
    this.text = null;
    this.relink();
    this.toLastTurn();
    this.outputs.scrollTop = 0;
    if (!this.panel) this.showMarks();
  }

  relink() {
    const links = this.data.links ?? [];
    const flags = this.data.flags.filter(
      (flag) => !links.some((link) => link.start < flag.end && flag.start < link.end));
    const doubts = flags.map((flag) => ({ ...flag, supported: false, sources: [] }));
    this.claims = [...links, ...doubts].sort((a, b) => a.start - b.start || a.end - b.end);
    let number = 0;
    for (const claim of this.claims) if (!claim.supported) claim.number = ++number;
    this.drawSource();
    if (this.text) this.repaint();
    else this.drawOutputs();
    this.light(null);
  }

  // Links have come while somebody was reading: what is selected stays selected, and the keys go
  // where they went (a selection that is set in a text with a caret takes the focus there).
  repaint() {
    const selection = getSelection(), focused = document.activeElement;
    const held = selection.rangeCount && this.text.contains(selection.anchorNode)
      && this.text.contains(selection.focusNode)
      ? [pointAt(selection.anchorNode, selection.anchorOffset), pointAt(selection.focusNode, selection.focusOffset)]
      : null;
    this.paint();
    this.root.querySelector(".strop-flags").replaceWith(this.doubtList());
    if (held) this.select(...held);
    if (held && focused !== document.activeElement) focused?.focus({ preventScroll: true });
  }

  released() {
    this.pressed = false;
    if (this.late) this.relink();
    this.late = false;
  }

  // the source

  drawSource() {
    const turns = make("ol", "strop-turns");
    turns.setAttribute("role", "list");  // kept by every screen reader, though it has no bullets
    turns.setAttribute("aria-label", "Conversation");
    const parts = this.sources.map((part, index) => {
      const block = make(part.role ? "li" : "div", part.role ? `strop-turn ${part.role}` : "part");
      const text = make("div", "strop-text");
      text.dir = "auto";
      fill(text, part, this.rangesIn(part, index));
      if (part.folded) block.append(this.fold(part, index, text));
      else block.append(make("p", "strop-label", part.name), text, ...notes(part));
      return block;
    });
    turns.append(...parts.filter((_, index) => this.sources[index].role));
    const before = this.sources[0].before ? [make("p", "strop-cut", this.sources[0].before)] : [];
    const rest = parts.filter((_, index) => !this.sources[index].role);
    this.scroll.replaceChildren(...before, ...(turns.children.length ? [turns] : []), ...rest);
  }

  rangesIn(part, index) {
    const ranges = this.hits.filter((hit) => hit.part === index)
      .map((hit) => ({ ...hit, kind: hit === this.hits[this.hitAt] ? "hit here" : "hit" }));
    this.claims.forEach((claim, number) => {
      for (const place of claim.sources) {
        const start = Math.max(0, place.start - part.at);
        const end = Math.min(part.points.length, place.end - part.at);
        if (start < end) ranges.push({ start, end, claim: number, kind: "place" });
      }
    });
    return ranges;
  }

  fold(part, index, text) {
    const fold = make("details");
    const size = `${(part.points.length + part.cut).toLocaleString("en")} characters`;
    fold.open = this.unfolded.has(index);
    fold.ontoggle = () => this.unfolded[fold.open ? "add" : "delete"](index);
    fold.append(make("summary", "strop-label", `${part.name}, ${size}`), text, ...notes(part));
    return fold;
  }

  // The end of a conversation, or the beginning of its last turn where that is longer than the pane.
  toLastTurn() {
    this.scroll.scrollTop = 0;
    const last = this.scroll.querySelector(".strop-turn:last-child");
    if (last) {
      const box = this.scroll.getBoundingClientRect(), at = last.getBoundingClientRect();
      this.scroll.scrollTop = Math.min(at.top - box.top, at.bottom - box.bottom);
    }
    this.end = this.scroll.scrollTop;
  }

  wireSearch() {
    const find = () => {
      const query = this.field.value;
      this.hits = this.sources.flatMap((part, index) =>
        search(part.points, query, MOST_HITS).map((hit) => ({ ...hit, part: index })));
      this.hitAt = 0;
      this.showHit(query);
    };
    const step = (by) => {
      if (!this.hits.length) return;
      this.hitAt = (this.hitAt + by + this.hits.length) % this.hits.length;
      this.showHit(this.field.value);
    };
    this.field.oninput = find;
    this.field.onkeydown = (event) => {
      if (event.key === "Enter") { event.preventDefault(); step(event.shiftKey ? -1 : 1); }
      if (event.key === "Escape") { this.field.value = ""; find(); this.field.blur(); }
    };
    this.root.querySelector(".back").onclick = () => step(-1);
    this.root.querySelector(".on").onclick = () => step(1);
  }

  showHit(query) {
    const n = this.hits.length;
    this.root.classList.toggle("finding", n > 0);
    const many = n >= MOST_HITS ? `${n}+` : `${n}`;
    this.hitsShown.textContent = !query.trim() ? "" : n ? `${this.hitAt + 1} of ${many}` : "none";
    this.drawSource();
    this.light(this.lit);
    reveal(this.scroll, this.scroll.querySelector(".hit.here"));
  }

  // the outputs

  drawOutputs() {
    this.outputs.classList.toggle("pair", this.texts.length > 1);
    this.outputs.replaceChildren(...this.texts.map((part) => {
      const card = make("section", "strop-card output");
      card.setAttribute("aria-label", part.name);
      const head = make("div", "head");
      head.append(make("h2", "strop-label", part.name));
      const text = make("div", "strop-text output");
      text.dir = "auto";
      card.append(head, text, ...notes(part));
      this.points = part.points;
      if (!part.points.length) text.append(make("em", "", "The answer is empty."));
      else if (isFormatted(part) || !this.data.markable) fill(text, part, []);
      if (this.data.markable && isFormatted(part)) {
        head.append(make("span", "aside", RAW_TO_MARK));
        card.append(this.doubtList());
      } else if (this.data.markable) {
        this.text = text;
        head.append(this.markButton());
        this.makeReadOnly(text, part.name);
        this.paint();
        card.append(this.doubtList());
      }
      return card;
    }));
  }

  markButton() {
    const made = button("", "mark", () => this.mark());
    this.markName = make("span");
    made.append(this.markName, make("kbd", "", "M"));
    made.onpointerdown = (event) => event.preventDefault();  // the selection stays
    return made;
  }

  // A text with a caret that nothing can change: the browser's own keys move it and select.
  makeReadOnly(text, name) {
    text.contentEditable = "true";
    text.spellcheck = false;
    text.inputMode = "none";
    for (const [key, value] of Object.entries({
      role: "textbox", "aria-readonly": "true", "aria-multiline": "true",
      "aria-label": `${name}. Select words and press M to mark an error.`,
      autocorrect: "off", "data-gramm": "false", "data-strop-reading": "",
    })) text.setAttribute(key, value);
    for (const kind of ["beforeinput", "paste", "drop", "cut", "dragstart"])
      text.addEventListener(kind, (event) => event.preventDefault());
    text.onkeydown = (event) => {
      if (event.key === "Escape") text.blur();
      if (["Enter", "Backspace", "Delete"].includes(event.key) && !event.ctrlKey && !event.metaKey)
        event.preventDefault();
    };
    text.onpointerover = (event) => {
      const claims = event.target.closest?.("[data-claims]")?.dataset.claims;
      if (claims) this.light(Number(claims.trim().split(/\s+/)[0]));
    };
    text.onpointerleave = () => this.light(null);
    text.onpointerdown = (event) => { this.pressed = event.button === 0; };
  }

  paint() {
    if (!this.text) return;  // it is formatted
    const claims = this.claims.map((claim, index) => ({
      ...claim, claim: index, kind: claim.supported ? "claim told" : "claim untold strop-flag" }));
    const marks = this.marks.map((mark, index) => ({ ...mark, kind: "error", number: undefined, mark: index + 1 }));
    const pending = this.panel ? [{ ...this.panel, kind: "pending", number: undefined }] : [];
    draw(this.text, this.points, [...claims, ...marks, ...pending]);
    this.markName.textContent = this.panel?.index >= 0 ? "Move the mark here" : "Mark an error";
    marks.forEach((mark) => {
      const last = [...this.text.children].findLast((leaf) => Number(leaf.dataset.e) <= mark.end);
      if (last) last.dataset.mark = `${last.dataset.mark ? `${last.dataset.mark},` : ""}${mark.mark}`;
    });
  }

  doubtList() {
    const list = make("ol", "strop-flags");
    this.claims.forEach((claim, index) => {
      if (claim.supported) return;
      const row = make("li");
      const words = plainWords(this.points, claim);
      const link = this.text ? button("", "doubt", () => this.goTo(claim)) : make("span");
      link.append(make("q", "", words), make("span", "strop-reason", reasonOf(claim, words)));
      link.onpointerenter = link.onfocus = () => this.light(index);
      link.onpointerleave = link.onblur = () => this.light(null);
      row.append(link);
      list.append(row);
    });
    list.hidden = !list.children.length;
    return list;
  }

  goTo(claim) {
    this.text.focus({ preventScroll: true });
    this.select(claim.start, claim.end);
  }

  select(start, end) {
    getSelection().setBaseAndExtent(...placeOf(this.text, start), ...placeOf(this.text, end));
  }

  // links

  light(index) {
    this.lit = index;
    const claim = index === null ? null : this.claims[index];
    for (const leaf of this.root.querySelectorAll(".lit")) leaf.classList.remove("lit");
    this.root.classList.toggle("silent", !!claim && !claim.supported && !claim.sources.length);
    if (!claim) { this.told.textContent = this.sources.some(isFormatted) ? RAW_TO_FIND : ""; return; }
    for (const leaf of this.root.querySelectorAll(`[data-claims~="${index}"]`)) leaf.classList.add("lit");
    this.told.textContent = toldOf(claim, plainWords(this.points, claim));
    reveal(this.scroll, this.scroll.querySelector(".lit"));
  }

  caretMoved() {
    const selection = getSelection();
    if (!this.text || !selection.rangeCount || !this.text.contains(selection.focusNode)) return;
    const [start, end] = this.selected();
    const at = this.claims.findIndex((claim) =>
      start === end ? claim.start <= start && start < claim.end
                    : claim.start < end && start < claim.end);
    if (at !== this.lit && (at >= 0 || this.lit !== null)) this.light(at >= 0 ? at : null);
  }

  selected() {
    const range = getSelection().getRangeAt(0);
    return [pointAt(range.startContainer, range.startOffset), pointAt(range.endContainer, range.endOffset)];
  }

  // marks

  mark() {
    if (!this.text) { if (!this.panel) this.say(RAW_TO_MARK); return; }
    const selection = getSelection();
    const inText = selection.rangeCount && this.text?.contains(selection.anchorNode)
      && this.text.contains(selection.focusNode);
    if (!inText) { this.say("Select the wrong words in the answer first, then press M."); return; }
    let [start, end] = this.selected();
    const caret = start;
    [start, end] = trimmed(this.points, start, end);
    if (start === end) {
      const held = this.marks.findIndex((mark) => mark.start <= caret && caret <= mark.end);
      if (held >= 0) this.open(this.marks[held], held);
      else this.say("Select the wrong words first: Shift with the arrow keys, or the mouse.");
      return;
    }
    const same = this.marks.findIndex((mark) => mark.start === start && mark.end === end);
    if (this.panel && [-1, this.panel.index].includes(same)) this.moveTo(start, end);
    else this.open(same >= 0 ? this.marks[same] : { start, end, kind: null, severity: null, note: null }, same);
  }

  // The mark in the panel goes to other words; what was picked for it stays.
  moveTo(start, end) {
    this.open({ ...this.panel, ...this.picked(), start, end }, this.panel.index);
  }

  stretch(edge, by) {
    this.wordList ??= wordsOf(this.points);
    Object.assign(this.panel, stretched(this.wordList, this.panel, edge, by));
    this.paint();
    this.marking.querySelector(".quoted q").textContent = plainWords(this.points, this.panel);
  }

  // Shift with an arrow: [edge, by] as `stretched` takes them. Up and down are for the start.
  stretchOf({ key, shiftKey }) {
    if (!shiftKey || !key.startsWith("Arrow")) return null;
    if (key === "ArrowUp" || key === "ArrowDown") return ["start", key === "ArrowUp" ? -1 : 1];
    const onward = getComputedStyle(this.text ?? this.outputs).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    return ["end", key === onward ? 1 : -1];
  }

  // The mark that is being made or changed: until it is kept, nobody but this page has it.
  hold(panel) {
    this.panel = panel;
    tellUnsent("panel", panel !== null);
  }

  // Submit keeps a mark that is complete; one that is not keeps the answer here. Returns whether the
  // answer may go.
  finish() {
    const form = this.panel && this.marking.querySelector(".panel");
    if (form) this.keep(form);
    return this.panel === null;
  }

  say(words) {
    this.hold(null);
    this.paint();
    this.marking.replaceChildren();
    this.showMarks();
    const line = make("p", "say", words);
    line.setAttribute("role", "status");
    this.marking.prepend(line);
  }

  open(mark, index) {
    this.hold({ ...mark, index });
    this.paint();
    this.marking.replaceChildren();
    const { kinds, severities } = this.data;
    const form = make("form", "panel");
    form.dataset.stropOwn = "";
    form.setAttribute("aria-label", "Mark an error");
    const quoted = make("p", "quoted", "What is wrong with ");
    quoted.append(make("q", "", plainWords(this.points, mark)), "?");
    quoted.setAttribute("aria-live", "polite");
    const note = make("input");
    note.type = "text";
    note.maxLength = 2000;
    note.placeholder = "In a few words (optional)";
    note.setAttribute("aria-label", "Note on this mark");
    note.value = mark.note ?? "";
    form.append(quoted, this.stretchButtons(), this.group("kind", "Kind", kinds),
                ...(severities.length ? [this.group("severity", "How grave", severities)] : []), note);
    const keep = button("Keep", "primary", null);
    keep.type = "submit";
    keep.append(make("kbd", "", "Enter"));
    const row = make("div", "row");
    row.append(keep);
    if (index >= 0) row.append(button("Delete this mark", "", () => this.drop(index)));
    row.append(button("Cancel", "", () => this.close()));
    form.append(row);
    form.onsubmit = (event) => { event.preventDefault(); this.keep(form); };
    form.onkeydown = (event) => this.panelKey(event, form, note);
    this.marking.append(form);
    this.marking.scrollIntoView({ block: "nearest" });
    (form.querySelector("input:checked") ?? form.querySelector("input")).focus({ preventScroll: true });
  }

  stretchButtons() {
    const row = make("div", "row stretch");
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", "Words of the mark");
    row.append(make("span", "", "Words"), ...STRETCHES.map(([edge, by, text, label]) =>
      button(text, "", () => this.stretch(edge, by), label)));
    return row;
  }

  group(name, title, choices) {
    const set = make("fieldset");
    set.append(make("legend", "", title));
    choices.forEach((choice, at) => {
      const label = make("label", "", "");
      const radio = make("input");
      radio.type = "radio";
      radio.name = `strop-${name}`;
      radio.value = choice.name;
      radio.checked = this.panel[name] === choice.name;
      label.append(radio, make("span", "", choice.label));
      if (at < 10) label.append(make("kbd", "", String((at + 1) % 10)));
      if (choice.help) label.title = choice.help;
      set.append(label);
    });
    return set;
  }

  panelKey(event, form, note) {
    event.stopPropagation();
    if (event.key === "Escape") { event.preventDefault(); this.close(); return; }
    const step = event.target === note ? null : this.stretchOf(event);
    if (step) { event.preventDefault(); this.stretch(...step); return; }
    if (event.target === note || event.repeat || !/^[0-9]$/.test(event.key)) return;
    event.preventDefault();
    const sets = [...form.querySelectorAll("fieldset")];
    const own = event.target.closest("fieldset");
    const open = sets.find((set) => !set.querySelector(":checked")) ?? own ?? sets[0];
    const radio = open.querySelectorAll("input")[(Number(event.key) + 9) % 10];
    if (!radio) return;
    radio.checked = true;
    const next = sets.find((set) => !set.querySelector(":checked"));
    (next ? next.querySelector("input") : radio).focus();
  }

  // What the panel has been told so far.
  picked() {
    const form = this.marking.querySelector(".panel");
    const value = (name) => form.querySelector(`input[name=strop-${name}]:checked`)?.value ?? null;
    const note = form.querySelector("input[type=text]").value.trim();
    return { kind: value("kind"), severity: value("severity"), note: note || null };
  }

  keep(form) {
    const open = [...form.querySelectorAll("fieldset")].find((set) => !set.querySelector(":checked"));
    if (open) { open.classList.add("missing"); open.querySelector("input").focus(); return; }
    const { start, end, index } = this.panel;
    const mark = { start, end, ...this.picked() };
    if (index >= 0) this.marks[index] = mark;
    else this.marks.push(mark);
    this.marks.sort((a, b) => a.start - b.start || a.end - b.end);
    this.close(mark.end);
    this.handMarks();
  }

  drop(index) {
    const at = this.marks[index].start;
    this.marks.splice(index, 1);
    this.close(at);
    this.handMarks();
  }

  close(caret) {
    const at = caret ?? this.panel?.end ?? 0;
    this.hold(null);
    this.paint();
    this.showMarks();
    if (!this.text) return;
    this.text.focus({ preventScroll: true });
    this.select(at, at);
  }

  handMarks() {
    tellUnsent("marks", true);
    this.hand("marks", { item: this.data.item, marks: this.marks });
  }

  showMarks() {
    this.marking.replaceChildren();
    if (!this.marks.length) return;
    const list = make("ol", "marks");
    list.setAttribute("aria-label", "Your marks");
    this.marks.forEach((mark, index) => {
      const words = plainWords(this.points, mark);
      const row = make("li");
      const text = make("span", "what");
      const kind = labelOf(this.data.kinds, mark.kind);
      const grave = mark.severity ? `, ${labelOf(this.data.severities, mark.severity)}` : "";
      text.append(make("q", "", words), ` ${kind}${grave}`, ...(mark.note ? [make("em", "", ` ${mark.note}`)] : []));
      row.append(text);
      if (this.text) row.append(
        button("Edit", "", () => this.open(mark, index), `Edit the mark on ${words}`),
        button("Delete", "", () => this.drop(index), `Delete the mark on ${words}`));
      list.append(row);
    });
    this.marking.append(list);
  }
}

const marksAsText = (marks) => JSON.stringify(
  marks.map(({ start, end, kind, severity, note }) => [start, end, kind, severity ?? null, note ?? null]));
const labelOf = (choices, name) => choices.find((choice) => choice.name === name)?.label ?? name;

function plainWords(points, { start, end }) {
  const words = pieces(points.slice(start, end), []).map((piece) => piece.shown).join("");
  const line = words.replace(/\s+/g, " ").trim(), cut = [...line];
  return cut.length > 60 ? `${cut.slice(0, 58).join("")} …` : line;
}

function reasonOf(claim, words) {
  const reason = claim.reason || "not in the source";
  const rest = reason.startsWith(`'${words}' `) ? reason.slice(words.length + 3) : reason;
  return rest.replace(/^is /, "");
}

function toldOf(claim, words) {
  const n = claim.sources.length;
  if (!claim.supported) return `“${words}”: ${reasonOf(claim, words)}`;
  return n ? `“${words}” is in the source${n > 1 ? `, ${n} places` : ""}` : `“${words}” agrees with the source as a whole`;
}

const isFormatted = (part) => !!part.nodes?.length;

// A text as it was written, with its ranges; or formatted.
function fill(place, part, ranges) {
  if (!isFormatted(part)) { draw(place, part.points, ranges); return; }
  place.classList.add("formatted");
  place.append(...part.nodes.map(grow));
}

function notes(part) {
  const cut = part.cut && `${part.cut.toLocaleString("en")} more characters are not shown.`;
  return [cut, part.whyNot].filter(Boolean).map((words) => make("p", "strop-cut", words));
}

// Scrolls the pane, never the page.
function reveal(pane, leaf) {
  if (!leaf) return;
  const fold = leaf.closest("details");
  if (fold) fold.open = true;
  const box = pane.getBoundingClientRect(), at = leaf.getBoundingClientRect();
  if (at.top >= box.top && at.bottom <= box.bottom) return;
  pane.scrollTop += at.top - box.top - box.height / 3;
}

export default function ({ data, parentElement, setStateValue }) {
  const reader = parentElement.stropReader ??= new Reader(parentElement);
  reader.update(data, setStateValue);
  parentElement.stropAbort?.abort();
  const { signal } = parentElement.stropAbort = new AbortController();
  document.addEventListener("selectionchange", () => reader.caretMoved(), { signal });
  document.addEventListener("strop-mark", () => reader.data.markable && reader.mark(), { signal });
  for (const kind of ["pointerup", "pointercancel"])
    document.addEventListener(kind, () => reader.released(), { signal });
  document.addEventListener("strop-submit", (event) => {
    if (!reader.finish()) event.preventDefault();
  }, { signal });
  document.addEventListener("strop-find", () => reader.field.focus(), { signal });
  document.documentElement.dataset.stropRead = data.item;  // which item can be read
  return endOfDrawing(parentElement, () => {
    parentElement.stropAbort.abort();
    tellUnsent("panel", false);
  });
}
