// Keeps what is written: on the server two seconds after the last key, and in this tab until it is there.
const PAUSE = 2;
// Seconds until the next try, while nothing answers or somebody is signed out.
const RETRIES = [2, 5, 10, 20, 60];
// Seconds for an answer: some networks take what is sent and never answer.
const PATIENCE = 30;
// Seconds for a button to bring the next page; after them the page is still this one.
const LEAVING = 5;
// Browsers let as many octets (64 KiB) go on after a tab is closed; a letter has up to three.
const LAST_WORDS = 20_000;

export function autosave(form, { saved, notSaved, offer, onSaved, onRefused }) {
  // One copy for each draft, whatever language its page is opened in. While it is offered, what is
  // typed stands beside it.
  const key = location.pathname;
  const beside = `${key}+`;
  const [navigation] = performance.getEntriesByType("navigation");
  const isAsStored = words() === words(form, "defaultValue");
  // What is typed before this has loaded counts, too; not what “back” puts into the fields.
  const isTyped = navigation?.type === "navigate" && !isAsStored;
  // WebKit’s “back” puts the version of before into its field, too.
  if (isAsStored) form.elements.seen.value = form.dataset.seen;
  let isUnsaved = isTyped || "unsaved" in form.dataset;
  let isSaving = false;
  let isLeaving = false;
  let tries = 0;
  let waiting = 0;
  // The copy of before, while it is offered.
  let offered = null;
  // Words sent without an answer: they may have come there.
  let sent = [];

  function fields(of = form) {
    return [...of.querySelectorAll("[id]:is(input, textarea)")].filter((field) => field.type !== "hidden");
  }

  // All words, as one text that can be compared.
  function words(of = form, kind = "value") {
    return JSON.stringify(Object.fromEntries(fields(of).map((field) => [field.name, field[kind].trim()])));
  }

  function saveIn(seconds) {
    clearTimeout(waiting);
    waiting = setTimeout(save, 1000 * seconds);
  }

  async function save() {
    clearTimeout(waiting);
    isLeaving = false;
    // Beside another's version: what is on the server stays until “Save”, and the tab keeps these words.
    if ("stale" in form.dataset) return say(notSaved.dataset.stale);
    // Two at once would seem to be two people.
    if (isSaving) return saveIn(PAUSE);
    isSaving = true;
    const typed = words();
    send(false);
    const answer = await fetch(form.dataset.save, {
      method: "POST",
      body: new FormData(form),
      keepalive: typed.length < LAST_WORDS,
      signal: AbortSignal.timeout?.(1000 * PATIENCE),
    }).catch(() => null);
    // A network that wants to be signed in to answers in our place.
    const seen = answer?.ok ? (await answer.json().catch(() => null))?.seen : "";
    isSaving = false;
    if (seen) {
      form.elements.seen.value = seen;
      sent = [];
      tries = 0;
      say("");
      isUnsaved = words() !== typed;
      if (isUnsaved) return;
      sessionStorage.removeItem(offered ? beside : key);
      saved.textContent = saved.dataset.saved;
      onSaved();
    } else if (answer?.status === 422) {
      say((await answer.json()).problem || notSaved.dataset.lost);
      onRefused();
    } else if (answer?.status === 409 && (await isOurs())) {
      saveIn(0);
    } else if (answer?.status === 409 || answer?.status === 413) {
      say(answer.status === 409 ? notSaved.dataset.stale : notSaved.dataset.long);
    } else {
      // Whoever has signed in again has another token.
      if (answer?.status === 400) await renewToken();
      say(reason(answer));
      saveIn(RETRIES[Math.min(tries++, RETRIES.length - 1)]);
    }
  }

  function reason(answer) {
    if (!answer) return notSaved.dataset.offline;
    return answer.redirected || [400, 403].includes(answer.status) ? notSaved.dataset.out : notSaved.dataset.lost;
  }

  // Said to screen readers, and only when it is news.
  function say(problem) {
    if (notSaved.textContent !== problem) notSaved.textContent = problem;
  }

  async function renewToken() {
    const token = (await stored())?.elements.csrf_token;
    if (token) form.elements.csrf_token.value = token.value;
  }

  // Whether the server has what we sent and heard no answer to; then we go on from there.
  async function isOurs() {
    const server = await stored();
    const isFound = server !== null && sent.includes(words(server));
    if (isFound) form.elements.seen.value = server.elements.seen.value;
    sent = [];
    return isFound;
  }

  // The form as the server has it now.
  async function stored() {
    const answer = await fetch(location.pathname).catch(() => null);
    if (!answer?.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#main-form");
  }

  function keepHere(isSent) {
    const seen = form.dataset.stale ?? form.elements.seen.value;
    sessionStorage.setItem(offered ? beside : key, JSON.stringify({ typed: words(), seen, sent, isSent }));
  }

  // A copy that was sent with a button is needed only where the server's version did not move.
  function send(isButton) {
    sent = [...new Set([...sent, words()])];
    keepHere(isButton);
  }

  function changed() {
    // The offered words stand in the fields, by their button, by “back” or after a crash.
    if (offered?.typed === words()) {
      // The version that they were written on: a change since then is told, never overwritten.
      form.elements.seen.value = offered.seen;
      endOffer();
    }
    isUnsaved = true;
    isLeaving = false;
    tries = 0;
    saved.textContent = "";
    saveIn(PAUSE);
    keepHere(false);
  }

  function endOffer() {
    for (const copy of [key, beside]) sessionStorage.removeItem(copy);
    offered = null;
    offer.hidden = true;
    if (isUnsaved) keepHere(false);
  }

  function offerKept() {
    const other = sessionStorage.getItem(beside);
    if (other && !sessionStorage.getItem(key)) {
      sessionStorage.setItem(key, other);
      sessionStorage.removeItem(beside);
    }
    const kept = JSON.parse(sessionStorage.getItem(key));
    if (!kept?.sent) return;
    sent = kept.sent;
    // Shown again, and still not saved: the copy stays, whoever saves next.
    if (isUnsaved && kept.typed === words()) return keepHere(false);
    // The server redirects here from a button whose words it took; else the version may be another's.
    const isTaken = kept.isSent && navigation?.redirectCount && kept.seen !== form.elements.seen.value;
    if (kept.typed === words(form, "defaultValue") || isTaken) {
      sessionStorage.removeItem(key);
      return;
    }
    offered = kept;
    // Put back before the scripts ran.
    if (kept.typed === words()) return changed();
    offer.hidden = false;
    const [bringBack, discard] = offer.querySelectorAll("button");
    bringBack.addEventListener("click", () => {
      const typed = JSON.parse(offered.typed);
      for (const field of fields()) field.value = typed[field.name] ?? field.value;
      changed();
      fields().at(-1).focus();
    });
    discard.addEventListener("click", () => {
      endOffer();
      fields()[0].focus();
    });
  }

  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => {
    if (event.submitter?.formTarget) return;
    if (!navigator.onLine) {
      event.preventDefault();
      save();
      return;
    }
    isLeaving = true;
    send(true);
    saveIn(LEAVING);
  });
  for (const name of ["online", "focus"]) addEventListener(name, () => { if (notSaved.textContent) save(); });
  // Phones close a page without asking.
  document.addEventListener("visibilitychange", () => { if (document.hidden && isUnsaved && !isLeaving) save(); });
  addEventListener("beforeunload", (event) => {
    if (!isUnsaved || isLeaving) return;
    event.preventDefault();
    // Chrome before 119 looks at this alone.
    event.returnValue = true;
  });
  addEventListener("pageshow", (event) => {
    // A page from the cache of “back” may have lost its fields; this tab has the words.
    if (event.persisted) location.reload();
    // Chromium’s “back” fills the fields after the scripts, WebKit’s before.
    if (offered?.typed === words()) changed();
  });
  offerKept();
  if (isTyped) changed();
}
