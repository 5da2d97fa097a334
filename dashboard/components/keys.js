// Keys of the desk, and the clock that runs while they are used (clock.js and unsent.js are put
// before this).

const HAND_MS = 45000;   // how old the server's knowledge of the time may get while somebody works
const SKIP = "@skip";    // the reasons of a skip, among the questions
const QUESTION = /(?:^|\s)st-key-question-\d+-\d+-(\S+)/;

const typing = (place) =>
  place.closest?.("[data-strop-own]") || ["TEXTAREA", "SELECT"].includes(place.tagName)
  || (place.tagName === "INPUT" && !["checkbox", "radio", "button"].includes(place.type))
  || (place.isContentEditable && !place.closest("[data-strop-reading]"));

const reading = (place) => place.closest?.("[data-strop-reading], .strop-source .scroll");

// The question that an element belongs to: [its box, its name].
function questionOf(place) {
  const host = place?.getRootNode?.()?.host;
  const box = (host ?? place)?.closest?.("[class*='st-key-question-']");
  return box ? [box, QUESTION.exec(box.className)?.[1] ?? null] : [null, null];
}

// A desk that the server opens anew, after a restart or a long time without a line, learns from the
// address what is on screen here. It is no step that one could go back to.
function noteInAddress(item) {
  const here = new URL(location.href);
  if (here.searchParams.get("item") === item) return;
  here.searchParams.set("item", item);
  history.replaceState(history.state, "", here);
}

class Keys {
  constructor(root) {
    this.sheet = root.querySelector("dialog");
    this.held = document.stropHeld ??= new Set();   // outlives a new drawing of this part
    this.clock = new Clock(() => performance.now());
  }

  update(data, hand) {
    if (this.data?.item === data.item && this.data.sitting !== data.sitting) {
      this.entries = this.entries.slice(this.data.taken);   // what the desk before has not taken
      if (this.entries.length) setTimeout(() => this.handDigits());
    }
    if (this.data?.item !== data.item) {
      this.entries = [];
      this.skipping = null;
      this.clock.start(data.item, data.seconds, data.by);
      this.handed = performance.now();
    }
    if (this.data?.item !== data.item) forgetUnsent();
    this.data = data;
    this.hand = hand;
    this.sent = null;
    if (this.skipping === data.skipping) this.skipping = null;   // else the press is on its way
    tellUnsent("digits", this.entries.length > data.taken);
    this.drawSheet();
    this.goTo(data.missing);
    document.documentElement.dataset.stropItem = data.item;  // which item the keys are for
    noteInAddress(data.item);
  }

  drawSheet() {
    const list = this.sheet.querySelector("dl");
    if (list.dataset.help === JSON.stringify(this.data.help)) return;
    list.dataset.help = JSON.stringify(this.data.help);
    list.replaceChildren(...this.data.help.flatMap(([keys, words]) => {
      const names = document.createElement("dt"), what = document.createElement("dd");
      names.append(...keys.split(" ").map((key) => {
        const made = document.createElement("kbd");
        made.textContent = key;
        return made;
      }));
      what.textContent = words;
      return [names, what];
    }));
  }

  // Shows the question that keeps the answer from being sent, once for each time it was tried.
  goTo(missing) {
    document.querySelectorAll(".strop-missing").forEach((box) => box.classList.remove("strop-missing"));
    if (!missing) return;
    const box = document.querySelector(`[class*='st-key-question-${this.data.item}-${CSS.escape(missing)}']`);
    if (!box) return;
    box.classList.add("strop-missing");
    if (!this.data.tried || this.tried === this.data.tried) return;
    this.tried = this.data.tried;
    box.scrollIntoView({ block: "center" });
    firstIn(box)?.focus({ preventScroll: true });
  }

  // Whether digits are for the reasons of a skip: its panel is open, or on its way.
  skips() { return this.skipping ?? this.data.skipping; }

  handTime() {
    this.handed = performance.now();
    this.hand("clock", this.clock.read());
  }

  down(event) {
    const place = event.composedPath()[0];
    const again = event.repeat || this.held.has(event.code);
    this.held.add(event.code);
    const own = event.ctrlKey || event.metaKey || event.altKey;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return this.submit(event, place, again);
    if (["Enter", " "].includes(event.key) && place.closest?.("button") && (again || this.sent))
      return stop(event);   // a key held on a button acts once, and never on what comes next
    if (own || typing(place)) return this.clock.input(questionOf(place)[1]);
    if (this.sheet.open) return this.sheetKey(event);
    if (/^[0-9]$/.test(event.key)) return this.digit(event, again);
    if (event.key === "Enter" && !place.closest?.("button, a, summary, [data-strop-own]")) return this.digit(event, again);
    if (event.key.startsWith("Arrow")) return this.arrow(event, place);
    this.clock.input(questionOf(place)[1]);
    if (!again && !this.sent) this.act(event);
    else if (this.data.keys[event.key.toLowerCase()]) stop(event);
  }

  submit(event, place, again) {
    stop(event);
    this.clock.input(questionOf(place)[1]);
    const button = document.querySelector(`.st-key-submit-${this.data.item} button`);
    if (again || this.sent || !button || button.disabled || this.sheet.open || !mayGo()) return;
    place.blur?.();   // a box hands over what is in it when it is left
    this.press(button);
    this.sent = this.data.item;
  }

  press(button) {
    this.handTime();
    button.click();
  }

  digit(event, again) {
    const named = this.skips() ? SKIP : questionOf(document.activeElement)[1];
    const pending = this.entries.length - this.data.taken;
    this.clock.input(named ?? this.data.open[Math.max(0, pending)] ?? null);
    if (again || this.sent) return;
    event.preventDefault();
    this.entries.push([named, event.key]);
    this.handDigits();
  }

  handDigits() {
    const { item, sitting } = this.data;
    tellUnsent("digits", true);
    this.hand("typed", { item, sitting, entries: this.entries, clock: this.clock.read() });
  }

  act(event) {
    const key = event.key.toLowerCase();
    if (key === "h" || key === "?") { stop(event); this.sheet.showModal(); return; }
    if (key === "m" || key === "f") {
      stop(event);
      document.dispatchEvent(new CustomEvent(key === "m" ? "strop-mark" : "strop-find"));
      return;
    }
    const button = document.querySelector(`.st-key-${this.data.keys[key]} button`);
    if (!this.data.keys[key] || !button || button.disabled) return;
    if (key === "s") this.skipping = !this.skips();
    stop(event);
    this.press(button);
  }

  sheetKey(event) {
    if (!["h", "?", "H"].includes(event.key)) return;
    stop(event);
    this.sheet.close();
  }

  arrow(event, place) {
    const [box] = questionOf(place);
    this.clock.input(questionOf(place)[1]);
    if (reading(place)) return;
    const across = ["ArrowLeft", "ArrowRight"].includes(event.key);
    if (across && place.getAttribute?.("role") === "radio") return;   // it moves by itself
    const by = ["ArrowRight", "ArrowDown"].includes(event.key) ? 1 : -1;
    const target = across ? beside(box, place, by) : this.nextBox(box, by);
    if (!target) return;
    stop(event);
    target.focus();
    target.scrollIntoView({ block: "nearest" });
  }

  nextBox(box, by) {
    const boxes = [...document.querySelectorAll(`[class*='st-key-question-${this.data.item}-']`)];
    const open = boxes.find((one) => one.querySelector(".todo"));
    const next = box ? boxes[boxes.indexOf(box) + by] : by > 0 ? open ?? boxes[0] : boxes.at(-1);
    if (!next) return null;
    return firstIn(next);
  }
}

// What takes the focus in the box of a question: its answer, or the first one.
function firstIn(box) {
  const host = box.querySelector("textarea, input") ? null : box.querySelector("[kind=primary], button");
  return host ?? box.querySelector("textarea, input, button") ?? inShadow(box);
}

function inShadow(box) {
  for (const element of box.querySelectorAll("*")) {
    const found = element.shadowRoot?.querySelector("textarea, input");
    if (found) return found;
  }
  return null;
}

function beside(box, place, by) {
  const buttons = [...(box?.querySelectorAll("button") ?? [])];
  const at = buttons.indexOf(place);
  return at < 0 ? null : buttons[at + by];
}

// Whether no mark is open that would be lost (reader.js keeps it, or points at what it lacks).
function mayGo() {
  return document.dispatchEvent(new CustomEvent("strop-submit", { cancelable: true }));
}

function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

export default function ({ data, parentElement, setStateValue }) {
  const keys = parentElement.stropKeys ??= new Keys(parentElement);
  keys.update(data, setStateValue);
  parentElement.stropAbort?.abort();
  const { signal } = parentElement.stropAbort = new AbortController();
  const listen = (kind, what) => document.addEventListener(kind, what, { capture: true, signal });
  listen("keydown", (event) => keys.down(event));
  listen("keyup", (event) => keys.held.delete(event.code));
  window.addEventListener("blur", () => { keys.held.clear(); keys.clock.leave(); }, { signal });
  window.addEventListener("focus", () => keys.clock.input(null), { signal });
  listen("visibilitychange", () => { if (document.hidden) { keys.clock.leave(); keys.handTime(); } });
  for (const kind of ["pointermove", "pointerdown", "wheel", "input"])
    listen(kind, (event) => keys.clock.input(questionOf(event.composedPath()[0])[1]));
  listen("click", (event) => {
    if (event.composedPath()[0].closest?.(".strop-show-keys")) keys.sheet.showModal();
  });
  listen("click", (event) => {   // the mouse: the time goes with the answer
    const button = event.composedPath()[0].closest?.(`.st-key-submit-${data.item} button`);
    if (!button || !event.isTrusted) return;
    if (keys.sent || !mayGo()) { stop(event); return; }
    keys.handTime();
    keys.sent = data.item;
  });
  listen("click", (event) => {   // what is typed before its reasons are drawn is for them, too
    const skip = event.composedPath()[0].closest?.(`.st-key-skip-${data.item} button`);
    if (skip && event.isTrusted) keys.skipping = !keys.skips();
  });
  const beat = setInterval(() => {
    const idle = keys.clock.last === null || performance.now() - keys.clock.last > IDLE_MS;
    if (!idle && performance.now() - keys.handed > HAND_MS) keys.handTime();
  }, 5000);
  signal.addEventListener("abort", () => clearInterval(beat));
  return endOfDrawing(parentElement, () => parentElement.stropAbort.abort());
}
