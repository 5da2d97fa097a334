// The form over the page, and the new line to the server once the browser has its new cookie.

// Streamlit's page takes a line that ended up again by itself, and goes on where it was.
function takeUpAnew() {
  if (document.stropLine) document.stropLine.close();
  else location.reload();
}

async function whoIsSignedIn(data) {
  try {
    const answer = await fetch(data.who, { headers: { Accept: "application/json" } });
    return answer.ok ? (await answer.json()).name : null;
  } catch { return null; }
}

// Somebody may have signed in in another tab: then nothing is asked here.
async function lookAround(data, say) {
  const name = await whoIsSignedIn(data);
  if (name === data.name) takeUpAnew();
  else if (name) say(`${name} is signed in in this browser. What is written here is ${data.name}'s.`);
}

async function signIn(form, data, say) {
  const body = new URLSearchParams({ name: data.name, password: form.elements.password.value });
  let answer;
  try {
    answer = await fetch(data.signIn, {
      method: "POST", body, redirect: "manual", headers: { Accept: "application/json" } });
  } catch { say("No connection. Try again in a moment."); return; }
  if (answer.type === "opaqueredirect" || answer.ok) {
    form.elements.password.value = "";
    say("");
    takeUpAnew();
    return;
  }
  const problem = await answer.json().catch(() => ({}));
  say([problem.detail ?? "This did not work.", problem.hint].filter(Boolean).join(" "));
}

export default function ({ data, parentElement }) {
  const form = parentElement.querySelector("form");
  const told = form.querySelector(".said");
  const say = (words) => { told.textContent = words; };
  form.elements.name.value = data.name;
  form.onsubmit = (event) => { event.preventDefault(); signIn(form, data, say); };
  if (!form.matches(":popover-open")) {
    form.showPopover();
    lookAround(data, say);
  }
  window.stropLook = () => lookAround(data, say);
  if (!form.dataset.looks) {
    form.dataset.looks = "1";
    window.addEventListener("focus", () => form.isConnected && window.stropLook());
  }
}
