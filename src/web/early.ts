/**
 * Runs before the first paint, as a classic script.
 *
 * A visitor who chose a theme never sees the other one; without a choice the system's theme holds. And
 * the page's own script, which is on its way, is begun right after the first paint and not before it:
 * on a slow phone the page stands there half a second sooner.
 */
try {
  const chosen = localStorage.getItem("stampede.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset["theme"] = chosen;
} catch {
  // Storage is forbidden: the system's theme holds.
}

/** A page that is opened in the background is painted when somebody looks; its script does not wait for that. */
const unseenMsMax = 1_000;

document.addEventListener("DOMContentLoaded", () => {
  const entry = document.querySelector<HTMLLinkElement>("link[data-entry]");
  if (entry === null) return;
  let isBegun = false;
  const begin = () => {
    if (!isBegun) void import(entry.href);
    isBegun = true;
  };
  // The frame is painted between its callbacks and the next task.
  requestAnimationFrame(() => setTimeout(begin));
  setTimeout(begin, unseenMsMax);
});
