// Active time at one item: the gaps between inputs while the page is seen and has the focus, each cut
// at a minute. A gap belongs to what the input that ends it was for: a question, or none.

const IDLE_MS = 60000;

export class Clock {
  constructor(now) { this.now = now; this.start("", 0, {}); }

  start(item, seconds, by) {
    this.item = item;
    this.seconds = seconds;
    this.by = { ...by };
    this.last = this.attended() ? this.now() : null;
  }

  attended() { return document.visibilityState === "visible" && document.hasFocus(); }

  // An input now, for `question` (its name) or for none.
  input(question) {
    this.count(question);
    this.last = this.attended() ? this.now() : null;
  }

  // The page lost the focus or is hidden: time stands still until the next input.
  leave() { this.count(null); this.last = null; }

  count(question) {
    if (this.last === null) return;
    const seconds = Math.min(Math.max(this.now() - this.last, 0), IDLE_MS) / 1000;
    this.seconds += seconds;
    if (question) this.by[question] = (this.by[question] ?? 0) + seconds;
    this.last = this.now();
  }

  read() {
    const round = (seconds) => Math.round(seconds * 10) / 10;
    const by = Object.fromEntries(Object.entries(this.by).map(([name, s]) => [name, round(s)]));
    return { item: this.item, seconds: round(this.seconds), by };
  }
}
