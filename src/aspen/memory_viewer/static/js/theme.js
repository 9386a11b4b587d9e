// Runs before the first paint, so that a dark page never flashes white: the kept choice, or else the system's.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let kept = null;
    try {
      kept = localStorage.getItem("aspen-theme");
    } catch {
      // Storage can be refused to a page; then the system decides.
    }
    document.documentElement.dataset.theme = kept ?? (dark.matches ? "dark" : "light");
    document.dispatchEvent(new CustomEvent("aspen-theme"));
  };
  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  apply();
})();
