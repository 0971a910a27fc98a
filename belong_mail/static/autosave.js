// Keeps what is written: on the server two seconds after the last key, and in this tab until it is there.
// One request at a time: what got no answer is sent again as it was, before newer words, and a button
// goes when the server has answered for the words. A page that is hidden sends both at once.
const PAUSE = 2;
// Seconds until the next try, while nothing answers or somebody is signed out.
const RETRIES = [2, 5, 10, 20, 60];
// Seconds for an answer: some networks give none, and WebKit’s “stop” never ends a fetch with keepalive.
const PATIENCE = 30;
// Refusals that another try would not change, by status.
const REFUSALS = { 404: "gone", 409: "stale", 413: "long" };
// Browsers let 64 KiB go on after a tab is closed; the rest is for what stands around the words.
const LAST_OCTETS = 60_000;

export function autosave(form, { saved, notSaved, offer, onSaved, onRefused }) {
  // One copy for each draft, whatever language its page is opened in. While it is offered, what is
  // typed stands beside it.
  const key = location.pathname;
  const beside = `${key}+`;
  // The version that this tab saved after a button had gone.
  const ours = `${key}=`;
  // A button that came there after newer words of this very tab.
  const isOvertaken = "stale" in form.dataset && sessionStorage.getItem(ours) === form.dataset.seen;
  sessionStorage.removeItem(ours);
  if (isOvertaken && copied()?.typed !== words()) return location.replace(`${location.search || "?"}&overtaken=1`);
  const [navigation] = performance.getEntriesByType("navigation");
  const isAsStored = words() === words("defaultValue");
  // What is typed before this has loaded counts, too; not what “back” puts into the fields.
  const isTyped = navigation?.type === "navigate" && !isAsStored;
  // WebKit’s “back” puts the version of before into its field, too.
  if (isAsStored) form.elements.seen.value = form.dataset.seen;
  let isUnsaved = isTyped || "unsaved" in form.dataset;
  // The request on its way.
  let sending = null;
  let tries = 0;
  let waiting = 0;
  // The copy of before, while it is offered.
  let offered = null;
  // Words on their way, newest first, and their version; without an answer any may have come there.
  let unanswered = null;
  // The button that waits for them.
  let pressed = null;
  let hasGone = false;
  // A button leaves the page: nobody is asked.
  let isGoing = false;

  function fields() {
    return [...form.querySelectorAll("[id]:is(input, textarea)")].filter((field) => field.type !== "hidden");
  }

  // All words, as one text that can be compared.
  function words(kind = "value") {
    return JSON.stringify(Object.fromEntries(fields().map((field) => [field.name, field[kind].trim()])));
  }

  function saveIn(seconds) {
    clearTimeout(waiting);
    waiting = setTimeout(save, 1000 * seconds);
  }

  async function save(isLast) {
    clearTimeout(waiting);
    saved.textContent = notSaved.textContent ? "" : saved.dataset.saving;
    // Beside another's version: what is on the server stays until “Save”, and the tab keeps these words.
    if ("stale" in form.dataset) return end(notSaved.dataset.stale);
    const texts = [...new Set([words(), ...(unanswered?.texts ?? [])])];
    if (isLast ? new Blob(texts).size > LAST_OCTETS : sending) return saveIn(PAUSE);
    if (isLast || !unanswered) unanswered = { texts, seen: form.elements.seen.value };
    keepHere();
    sending?.abort();
    const mine = sending = new AbortController();
    setTimeout(() => mine.abort(), 1000 * PATIENCE);
    const ended = new Promise((resolve) => { mine.signal.onabort = () => resolve([]); });
    const [answer, said] = await Promise.race([post(mine.signal, isLast), ended]);
    if (sending !== mine) return;
    sending = null;
    const problem = said?.problem ?? notSaved.dataset[REFUSALS[answer?.status]];
    if (!said?.seen && !problem) return retry(answer);
    const isNewest = words() === unanswered.texts[0] && unanswered.seen === form.elements.seen.value;
    unanswered = null;
    tries = 0;
    if (said?.seen) form.elements.seen.value = said.seen;
    if (said?.seen && hasGone) sessionStorage.setItem(ours, said.seen);
    if (!isNewest) return saveIn(pressed ? 0 : PAUSE);
    if (problem) return end(problem, said?.problem && onRefused);
    isUnsaved = false;
    sessionStorage.removeItem(offered ? beside : key);
    end("", onSaved);
    saved.textContent = saved.dataset.saved;
  }

  async function post(signal, keepalive) {
    const body = new FormData();
    for (const text of unanswered.texts) {
      const typed = { ...JSON.parse(text), seen: unanswered.seen };
      for (const [name, value] of new FormData(form)) body.append(name, typed[name] ?? value);
    }
    const answer = await fetch(form.dataset.save, { method: "POST", body, keepalive, signal }).catch(() => null);
    // A network that wants to be signed in to answers in our place.
    return [answer, await answer?.json().catch(() => null)];
  }

  async function retry(answer) {
    saveIn(RETRIES[Math.min(tries++, RETRIES.length - 1)]);
    const isOut = [400, 403].includes(answer?.status);
    // Whoever has signed in again has another token.
    if (answer?.status === 400) await renewToken();
    if (!isOut) pressed = null;
    end(isOut ? notSaved.dataset.out : answer ? notSaved.dataset.lost : notSaved.dataset.offline);
  }

  // Lets the button go that waits; what was refused, its page shows again.
  function end(problem, otherwise) {
    saved.textContent = "";
    // Said to screen readers, and only when it is news.
    if (notSaved.textContent !== problem) notSaved.textContent = problem;
    if (!pressed) return otherwise?.();
    isGoing = true;
    pressed.click();
    pressed = null;
  }

  async function renewToken() {
    const answer = await fetch(location.pathname).catch(() => null);
    if (!answer?.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const token = page.querySelector("#main-form [name=csrf_token]");
    if (token) form.elements.csrf_token.value = token.value;
  }

  function copied() {
    return JSON.parse(sessionStorage.getItem(key));
  }

  function keepHere() {
    const copy = { typed: words(), seen: form.dataset.stale ?? form.elements.seen.value, sent: unanswered };
    try {
      sessionStorage.setItem(offered ? beside : key, JSON.stringify(copy));
    } catch {
      // A full store keeps no words from the server, which says when they are too many.
    }
  }

  function changed() {
    // The offered words stand in the fields, by their button, by “back” or after a crash.
    if (offered?.typed === words()) {
      // The version that they were written on: a change since then is told, never overwritten.
      form.elements.seen.value = offered.seen;
      endOffer();
    }
    isUnsaved = true;
    tries = 0;
    saved.textContent = "";
    saveIn(PAUSE);
    keepHere();
  }

  function endOffer() {
    for (const copy of [key, beside]) sessionStorage.removeItem(copy);
    offered = null;
    offer.hidden = true;
    if (isUnsaved) keepHere();
  }

  function offerKept() {
    const other = sessionStorage.getItem(beside);
    if (other && !sessionStorage.getItem(key)) {
      sessionStorage.setItem(key, other);
      sessionStorage.removeItem(beside);
    }
    const kept = copied();
    if (!kept) return;
    // Shown again, and still not saved: the copy stays, whoever saves next.
    if (isUnsaved && kept.typed === words()) return keepHere();
    if (kept.typed === words("defaultValue")) {
      sessionStorage.removeItem(key);
      return;
    }
    ({ sent: unanswered } = offered = kept);
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
    isGoing ||= !isUnsaved;
    hasGone = isGoing;
    if (isGoing) return;
    event.preventDefault();
    pressed = event.submitter;
    saveIn(0);
  });
  for (const name of ["online", "focus"]) addEventListener(name, () => { if (notSaved.textContent) save(); });
  // Phones close a page without asking.
  document.addEventListener("visibilitychange", () => { if (document.hidden && isUnsaved) save(true); });
  addEventListener("beforeunload", (event) => {
    const isOwn = isGoing;
    isGoing = false;
    if (isOwn || !isUnsaved) return;
    // While the browser asks, and before it ends what the page does.
    save(true);
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
