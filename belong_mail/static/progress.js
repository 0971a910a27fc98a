// Keeps the progress of an issue fresh; without it the page reloads itself.
const bar = document.getElementById("progress");
const words = document.getElementById("words");

async function look() {
  if (document.hidden) return;
  const answer = await fetch(bar.dataset.url, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) return;
  const now = await answer.json();
  // New buttons come when nobody stands on one: a reload would take the focus away.
  if (now.state !== bar.dataset.state && !document.activeElement?.closest("main *")) {
    location.reload();
    return;
  }
  bar.value = now.percent;
  if (words.textContent !== now.words) words.textContent = now.words;
}

// A count of a large issue costs the server more: then we ask less often.
async function watch() {
  const began = performance.now();
  await look().catch(() => {});
  setTimeout(watch, Math.max(2000, 20 * (performance.now() - began)));
}

if (bar) setTimeout(watch, 2000);
