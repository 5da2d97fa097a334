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

// Where people sign in at a provider, the way there stands in the form; passwords may be off.
async function showWays(form, data) {
  let ways;
  try {
    ways = await (await fetch(data.ways, { headers: { Accept: "application/json" } })).json();
  } catch { return; }
  const link = form.querySelector(".elsewhere");
  link.hidden = !ways.provider;
  if (ways.provider) link.querySelector("a").textContent = `Sign in with ${ways.provider}`;
  if (ways.passwords === "off") form.querySelector(".row").hidden = true;
}

const CODE_NEEDED = "urn:strop:problem:second-factor-needed";

async function signIn(form, data, say) {
  const { password, code } = form.elements;
  const body = new URLSearchParams({ name: data.name, password: password.value, code: code.value });
  let answer;
  try {
    answer = await fetch(data.signIn, {
      method: "POST", body, redirect: "manual", headers: { Accept: "application/json" } });
  } catch { say("No connection. Try again in a moment."); return; }
  if (answer.type === "opaqueredirect" || answer.ok) {
    password.value = code.value = "";
    say("");
    takeUpAnew();
    return;
  }
  const problem = await answer.json().catch(() => ({}));
  if (problem.type === CODE_NEEDED) {
    form.querySelector(".code").hidden = false;
    code.focus();
  }
  code.value = "";
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
    showWays(form, data);
    lookAround(data, say);
  }
  window.stropLook = () => lookAround(data, say);
  if (!form.dataset.looks) {
    form.dataset.looks = "1";
    window.addEventListener("focus", () => form.isConnected && window.stropLook());
  }
}
