// Who this page is, from its link: #t=TOKEN, for the patient also &v=TOKEN of the viewers' link.

const KEY = "physio-relay-link";

/**
 * Reads the link's fragment and takes it out of the address bar, so that a copied address or a shared screen
 * gives nobody this role; this tab keeps it through a reload. Gives null where there is no link.
 */
export function readLink() {
  const fragment = location.hash.slice(1);
  if (new URLSearchParams(fragment).get("t")) {
    sessionStorage.setItem(KEY + location.pathname, fragment);
    history.replaceState(null, "", location.pathname + location.search);
  }
  addEventListener("hashchange", () => location.reload()); // another link, pasted into the same tab
  const parts = new URLSearchParams(sessionStorage.getItem(KEY + location.pathname) ?? "");
  const claims = claimsOf(parts.get("t"));
  if (!claims) return null;
  const viewer = parts.get("v");
  return { token: parts.get("t"), claims, viewer, viewerClaims: claimsOf(viewer) };
}

// What the token says. Whether it is true is for the relay to check.
function claimsOf(token) {
  try {
    const body = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(body), (c) => c.charCodeAt(0))));
    return typeof claims.room === "string" && typeof claims.role === "string" ? claims : null;
  } catch {
    return null;
  }
}
