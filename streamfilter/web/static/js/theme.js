// Light or dark: the system's choice until the button is used. A classic script, so that it runs before paint.
"use strict";
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("theme");
  if (chosen()) root.dataset.theme = chosen();

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const dark = () => (chosen() ? chosen() === "dark" : system.matches);
    const show = () => {
      button.setAttribute("aria-pressed", String(dark()));
      button.querySelector("use").setAttribute("href", dark() ? "#i-sun" : "#i-moon");
      dispatchEvent(new Event("themechange"));
    };
    button.addEventListener("click", () => {
      const wanted = dark() ? "light" : "dark";
      // The system's own choice is not stored: the page follows it again.
      if ((wanted === "dark") === system.matches) localStorage.removeItem("theme");
      else localStorage.setItem("theme", wanted);
      if (chosen()) root.dataset.theme = chosen();
      else delete root.dataset.theme;
      show();
    });
    system.addEventListener("change", show);
    show();
  });
})();
