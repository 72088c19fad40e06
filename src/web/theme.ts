/**
 * Runs before the first paint, as a classic script, so that a visitor who chose a theme never sees
 * the other one. Without a choice the system's theme holds, and there is nothing to do.
 */
try {
  const chosen = localStorage.getItem("stampede.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset["theme"] = chosen;
} catch {
  // Storage is forbidden: the system's theme holds.
}
