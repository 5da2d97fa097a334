// A formatted text (formatted.py) in the page: known elements around texts, and nothing else.

const TAGS = new Set(("p h3 h4 h5 h6 ul ol li blockquote pre hr br strong em code small"
  + " table thead tbody tr th td").split(" "));

function grow(node) {
  if (typeof node === "string") return pieces([...node], []).map((piece) => piece.shown).join("");
  const [tag, number, inside] = node;
  const made = document.createElement(TAGS.has(tag) ? tag : "span");
  if (tag === "li" && number) made.value = Number(number);
  if (tag !== "br" && tag !== "hr") made.dir = "auto";
  made.append(...inside.map(grow));
  return made;
}
