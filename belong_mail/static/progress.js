// Keeps the progress of an issue fresh; without it the page is opened again by hand.
const words = document.getElementById("words");

async function look() {
  const standing = document.getElementById("standing");
  const answer = await fetch(standing.dataset.url, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) return;
  const now = await answer.json();
  if (now.state !== standing.dataset.state) await renew(standing);
  const bar = document.getElementById("progress");
  if (bar) bar.value = now.percent;
  const results = document.getElementById("results");
  if (results) results.replaceChildren(...now.results.map(asItem));
  if (words.textContent !== now.words) words.textContent = now.words;
}

function asItem(sentence) {
  const item = document.createElement("li");
  item.textContent = sentence;
  return item;
}

// Takes what belongs to the new state from the page itself, such as buttons, so that nobody who
// reads on is thrown back to its beginning; who stood on a button that is gone comes to the words.
async function renew(standing) {
  const answer = await fetch(location.href);
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("standing");
  if (!fresh) return;
  const hadFocus = standing.contains(document.activeElement);
  standing.replaceWith(fresh);
  words.className = page.getElementById("words").className;
  if (hadFocus) words.focus();
}

// A count of a large issue costs the server more: then we ask less often.
async function watch() {
  const began = performance.now();
  if (!document.hidden) await look().catch(() => {});
  const { state } = document.getElementById("standing").dataset;
  if (state === "scheduled" || state === "sending") setTimeout(watch, Math.max(2000, 20 * (performance.now() - began)));
}

setTimeout(watch, 2000);
