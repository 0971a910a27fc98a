// Has the browser make or use a passkey, and sends what it answers in the form itself. Without
// script, or where a browser knows no passkeys, the form stays hidden and the page says what works.
const bytes = (words) => Uint8Array.from(atob(words.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const words = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// What the server says of credentials and challenges is bytes to the browser.
function read({ publicKey }) {
  const listed = (publicKey.excludeCredentials ?? []).map((each) => ({ ...each, id: bytes(each.id) }));
  const options = { ...publicKey, challenge: bytes(publicKey.challenge) };
  if (publicKey.excludeCredentials) options.excludeCredentials = listed;
  if (publicKey.user) options.user = { ...publicKey.user, id: bytes(publicKey.user.id) };
  return { publicKey: options };
}

function write({ id, rawId, type, response }) {
  const given = { clientDataJSON: words(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) given[name] = words(response[name]);
  }
  return JSON.stringify({ id, rawId: words(rawId), type, response: given });
}

// What the server refuses it says on a page of its own: then the form is sent as it is.
async function ask(form) {
  const asked = await fetch(form.dataset.options, {
    method: "POST", headers: { Accept: "application/json" }, body: new FormData(form),
  });
  if (!asked.ok || asked.redirected) return form.submit();
  const options = read(await asked.json());
  const made = await navigator.credentials[form.dataset.passkey](options);
  form.elements.answer.value = write(made);
  await send(form);
}

// Where another form waits for this one, such as what is to be confirmed, that one goes on.
async function send(form) {
  const next = document.getElementById(form.dataset.then);
  if (!next) return form.submit();
  const sent = await fetch(form.action, { method: "POST", body: new FormData(form) });
  if (!sent.ok) throw new Error("refused");
  next.submit();
}

function attend(form) {
  const problem = form.querySelector("[data-problem]");
  let isBusy = false;
  form.addEventListener("submit", async (event) => {
    if (event.submitter?.name === "switch_language") return;
    event.preventDefault();
    if (isBusy) return;
    isBusy = true;
    problem.hidden = true;
    try {
      await ask(form);
    } catch {
      problem.textContent = problem.dataset.problem;
      problem.hidden = false;
    }
    isBusy = false;
  });
}

// The style sheet shows what goes with it, before this runs where a browser tells that it has script.
document.documentElement.dataset.passkeys = window.PublicKeyCredential ? "yes" : "no";
if (window.PublicKeyCredential) document.querySelectorAll("form[data-passkey]").forEach(attend);

// A form that waits for a proof goes on when another tab has it, while the link of its page counts.
const LINK_MS = 600_000;
const channel = new BroadcastChannel("belong-proof");
const proven = document.querySelector("[data-proven]");
const waiting = document.querySelector("form[data-waits-for]");
if (proven) channel.postMessage(proven.dataset.proven);
if (waiting) {
  const since = Date.now();
  channel.addEventListener("message", ({ data }) => {
    if (data === waiting.dataset.waitsFor && Date.now() - since < LINK_MS) waiting.submit();
  });
}
