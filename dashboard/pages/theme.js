// Runs before the first painting: the chosen theme, else the system's (style.css).
(() => {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
