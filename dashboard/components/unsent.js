// What this page holds and the server has not taken yet. While there is some, nothing is called saved
// (desk.css), and the browser asks before the page is left. Put before each part that hands over.

function tellUnsent(name, some) {
  const held = document.stropUnsent ??= new Set();
  if (some) held.add(name);
  else held.delete(name);
  document.documentElement.classList.toggle("strop-unsent", held.size > 0);
  window.onbeforeunload ??= (event) => {
    const refused = document.querySelector(".st-key-desk-saved .strop-saved.bad:not(.strop-offline)");
    if (document.stropUnsent.size || refused) event.preventDefault();
  };
}

// Another item is on screen: what was held of the one before was sent, or is not wanted.
function forgetUnsent() {
  document.stropUnsent?.clear();
  document.documentElement.classList.remove("strop-unsent");
}

// What ends a drawing of a part. The page draws a part anew while the drawing before it is still
// being loaded, and ends the older one after the newer has begun: what is the newer one's by then
// must not be taken from it.
function endOfDrawing(part, end) {
  const drawing = part.stropDrawing = {};
  return () => { if (part.stropDrawing === drawing) end(); };
}
