// Small helpers for both pages.

export const el = (id) => document.getElementById(id);

/** Sets a text, where it changed: an unchanged text is not announced again. */
export const put = (id, text) => {
  const node = el(id);
  if (node.textContent !== text) node.textContent = text;
};

export const icon = (id, name) => {
  if (el(id).getAttribute("href") !== name) el(id).setAttribute("href", name);
};
