// Keeps what is written: on the server two seconds after the last key, and in this tab until it is there.
const PAUSE = 2;
// Seconds until the next try, while nothing answers or somebody is signed out.
const RETRIES = [2, 5, 10, 20, 60];
// Seconds for an answer: some networks take what is sent and never answer.
const PATIENCE = 30;

export function autosave(form, { saved, notSaved, offer, onSaved, onRefused }) {
  // One copy for each draft, whatever language its page is opened in.
  const key = location.pathname;
  // What is typed before this has loaded counts, too; not what “back” puts into the fields.
  const navigation = performance.getEntriesByType("navigation")[0];
  const isFirst = navigation?.type === "navigate";
  const isAsStored = words().every((field) => field.value === field.defaultValue);
  const isTyped = isFirst && !isAsStored;
  const isBeside = "stale" in form.dataset;
  // WebKit’s “back” puts the version of before into its field, too.
  if (isAsStored) form.elements.seen.value = form.dataset.seen;
  let edits = isTyped || "unsaved" in form.dataset ? 1 : 0;
  let onServer = 0;
  let tries = 0;
  let waiting = 0;
  let isSaving = false;
  let isLeaving = false;
  // What saves without an answer sent: it may have come there.
  let unanswered = [];

  // What is typed while older words are offered stands beside them.
  function copy() {
    return offer.hidden ? key : `${key}+`;
  }

  function saveIn(seconds) {
    clearTimeout(waiting);
    waiting = setTimeout(save, 1000 * seconds);
  }

  async function save() {
    // Beside another's version: what is on the server stays until “Save”, and the tab keeps these words.
    if (isBeside) return say(notSaved.dataset.stale);
    // Two at once would seem to be two people.
    if (isSaving) return saveIn(PAUSE);
    isSaving = true;
    const sent = edits;
    unanswered.push(typed());
    const signal = AbortSignal.timeout?.(1000 * PATIENCE);
    const answer = await fetch(form.dataset.save, { method: "POST", body: new FormData(form), signal }).catch(() => null);
    // A network that wants to be signed in to answers in our place.
    const seen = answer?.ok ? (await answer.json().catch(() => null))?.seen : "";
    isSaving = false;
    if (seen) {
      form.elements.seen.value = seen;
      onServer = sent;
      unanswered = [];
      tries = 0;
      say("");
      if (edits !== onServer) return;
      sessionStorage.removeItem(copy());
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
    const server = (await stored())?.elements;
    const isSame = (sent) => Object.entries(sent).every(([name, value]) => server[name]?.value.trim() === value.trim());
    const isFound = Boolean(server) && unanswered.slice(0, -1).some(isSame);
    if (isFound) form.elements.seen.value = server.seen.value;
    unanswered = [];
    return isFound;
  }

  // The form as the server has it now.
  async function stored() {
    const answer = await fetch(location.pathname).catch(() => null);
    if (!answer?.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#main-form");
  }

  function words() {
    return [...form.querySelectorAll("[id]:is(input, textarea)")].filter((field) => field.type !== "hidden");
  }

  function typed() {
    return Object.fromEntries(words().map((field) => [field.name, field.value]));
  }

  // A copy that was sent with a button is needed only where the server's version did not move.
  function keepHere(isSent) {
    sessionStorage.setItem(copy(), JSON.stringify({ typed: typed(), seen: form.dataset.stale ?? form.elements.seen.value, isSent }));
  }

  function changed() {
    edits += 1;
    tries = 0;
    saved.textContent = "";
    saveIn(PAUSE);
    keepHere(false);
  }

  function offerKept() {
    const beside = sessionStorage.getItem(`${key}+`);
    if (beside && !sessionStorage.getItem(key)) {
      sessionStorage.setItem(key, beside);
      sessionStorage.removeItem(`${key}+`);
    }
    const kept = JSON.parse(sessionStorage.getItem(key) ?? "null");
    if (!kept) return;
    const isKept = (text) => words().every((field) => field[text].trim() === (kept.typed[field.name] ?? field[text]).trim());
    // Shown again, and still not saved: the copy stays, whoever saves next.
    if (isKept("value") && edits) return keepHere(false);
    // The server redirects here from a button whose words it took; else the version may be another's.
    const isTaken = kept.isSent && navigation?.redirectCount && kept.seen !== form.elements.seen.value;
    if (isKept("defaultValue") || isTaken) {
      sessionStorage.removeItem(key);
      return;
    }
    const bring = () => {
      offer.hidden = true;
      // The version that they were written on: a change since then is told, never overwritten.
      form.elements.seen.value = kept.seen;
      for (const field of words()) field.value = kept.typed[field.name] ?? field.value;
      changed();
    };
    // WebKit’s “back” shows them already.
    if (isKept("value")) return bring();
    offer.hidden = false;
    const [bringBack, discard] = offer.querySelectorAll("button");
    bringBack.addEventListener("click", () => {
      bring();
      words().at(-1).focus();
    });
    discard.addEventListener("click", () => {
      offer.hidden = true;
      sessionStorage.removeItem(key);
      words()[0].focus();
    });
  }

  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => {
    if (event.submitter?.formTarget) return;
    clearTimeout(waiting);
    if (!navigator.onLine) {
      event.preventDefault();
      save();
      return;
    }
    isLeaving = true;
    keepHere(true);
  });
  for (const name of ["online", "focus"]) addEventListener(name, () => { if (notSaved.textContent) save(); });
  addEventListener("beforeunload", (event) => {
    if (edits === onServer || isLeaving) return;
    event.preventDefault();
    // Chrome before 119 looks at this alone.
    event.returnValue = true;
  });
  // A page from the cache of “back” may have lost its fields; this tab has the words.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  offerKept();
  if (isTyped) changed();
}
