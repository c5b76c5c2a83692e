// Comfort for the operator's page: everything works without it, with a reload instead of a refresh.
// It asks for the page again while the tab is visible, keeps the choices of theme and pace, opens confirmations in a dialog,
// copies text, and knows a few keys. Nothing is evaluated, and nothing is sent anywhere but to this server.
"use strict";
(() => {
  const root = document.documentElement;
  const kept = {
    get: (name) => { try { return localStorage.getItem("meta-catalog." + name); } catch { return null; } },
    set: (name, value) => { try { localStorage.setItem("meta-catalog." + name, value); } catch { /* a private window */ } },
  };
  const one = (selector, within = document) => within.querySelector(selector);

  root.classList.add("scripted");
  const theme = (value) => { if (value === "light" || value === "dark") root.dataset.theme = value; else delete root.dataset.theme; };
  theme(kept.get("theme"));

  // Refreshing.
  const PACES = ["1", "2", "5", "15", "60", "0"];
  const pace = () => (PACES.includes(kept.get("pace")) ? Number(kept.get("pace")) : 5);
  let last = Date.now();
  const isBusy = () => document.hidden || one("dialog[open]") || one("[data-select]:checked") || one("form[data-dirty], [data-still]")
    || document.activeElement?.matches("#live input, #live select, #live textarea");
  const refresh = () => { const live = one("#live[hx-get]"); if (live && window.htmx) { last = Date.now(); htmx.trigger(live, "refresh"); } };
  setInterval(() => {
    if (pace() && !isBusy() && Date.now() - last >= pace() * 1000) refresh();
    for (const time of document.querySelectorAll("time[data-ago]")) time.textContent = ago(time.dateTime);
  }, 1000);
  document.addEventListener("visibilitychange", () => { if (!isBusy() && pace()) refresh(); });

  const ago = (at) => {
    const seconds = Math.round((Date.now() - new Date(at)) / 1000), past = Math.abs(seconds);
    const said = past < 60 ? `${past} s` : past < 3600 ? `${Math.floor(past / 60)} min` : past < 172800 ? `${Math.floor(past / 3600)} h` : `${Math.floor(past / 86400)} days`;
    return past < 2 ? "now" : seconds < 0 ? `in ${said}` : `${said} ago`;
  };

  // What does not answer leaves the old numbers, marked as such.
  let failures = 0;
  const failed = () => { if (++failures >= 3) one("#live")?.classList.add("stale"); const note = one("#stale"); if (note) note.hidden = failures < 3; };
  const good = () => { const time = one("#stale time"); if (time) { time.dateTime = new Date().toISOString(); time.textContent = new Date().toLocaleTimeString(); } };
  const answered = () => { failures = 0; one("#live")?.classList.remove("stale"); const note = one("#stale"); if (note) note.hidden = true; good(); };
  document.addEventListener("DOMContentLoaded", good);
  document.addEventListener("htmx:after:request", (event) => {
    const { response, text } = event.detail?.ctx ?? {}, status = response?.status ?? 0;
    if (text?.includes('id="live"')) { answered(); return; }
    // Nothing to show in place of what is shown.
    event.preventDefault();
    if ([401, 403, 404].includes(status)) location.reload(); else failed();
  });
  document.addEventListener("htmx:error", failed);

  // Choices in the header.
  const choose = () => {
    const paces = one("#pace"), themes = one("#theme");
    if (paces) { paces.value = String(pace()); paces.onchange = () => { kept.set("pace", paces.value); last = Date.now(); }; }
    if (themes) { themes.value = root.dataset.theme ?? "auto"; themes.onchange = () => { kept.set("theme", themes.value); theme(themes.value); }; }
  };
  document.addEventListener("DOMContentLoaded", choose);

  const sent = (form, button) => { const data = new FormData(form, button); return form.enctype === "multipart/form-data" ? data : new URLSearchParams(data); };

  // Confirmations: the link's page, its part #confirm in a dialog.
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog], button[data-dialog]");
    const copied = event.target.closest("[data-copy]");
    if (event.target.closest("[data-close]")) { const open = event.target.closest("dialog"); if (open) { event.preventDefault(); open.close(); } }
    if (copied) {
      // Without https a browser gives no clipboard.
      const isCopied = await (navigator.clipboard?.writeText(copied.dataset.copy).then(() => true, () => false) ?? false);
      const said = one("span", copied) ?? copied, before = said.textContent;
      said.textContent = isCopied ? "Copied" : "Select it and copy it by hand"; setTimeout(() => { said.textContent = before; }, 1500);
    }
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const form = link.form;
    if (form && !form.reportValidity()) return;
    const asked = form
      ? new Request(link.getAttribute("formaction") ?? form.getAttribute("action"), { method: "POST", body: sent(form, link), credentials: "same-origin" })
      : new Request(link.href, { credentials: "same-origin" });
    const answer = await fetch(asked).catch(() => null);
    const part = answer?.ok && one("#confirm", new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (!part) { if (form) form.requestSubmit(link); else location.href = link.href; return; }
    const dialog = document.createElement("dialog");
    dialog.setAttribute("aria-labelledby", "confirm-title");
    dialog.append(document.importNode(part, true));
    // It begins at its top, wherever its first button is.
    dialog.tabIndex = -1;
    dialog.autofocus = true;
    dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
    document.body.append(dialog);
    dialog.showModal();
  });

  // A changed form is not refreshed away, nor left without a question.
  document.addEventListener("input", (event) => { const form = event.target.closest("form[data-keep]"); if (form) form.dataset.dirty = ""; });
  document.addEventListener("submit", (event) => {
    delete event.target.dataset.dirty;
    if (event.target.dataset.sent !== undefined) { event.preventDefault(); return; }
    if (event.target.method === "post") { event.target.dataset.sent = ""; setTimeout(() => { delete event.target.dataset.sent; }, 3000); }
  });
  window.addEventListener("beforeunload", (event) => { if (one("form[data-dirty]")) event.preventDefault(); });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-select-all]")) for (const box of document.querySelectorAll("[data-select]")) box.checked = event.target.checked;
    if (event.target.matches("[data-select], [data-select-all]")) {
      const count = document.querySelectorAll("[data-select]:checked").length;
      for (const said of document.querySelectorAll("[data-selected]")) said.textContent = count ? `${count} selected` : "";
    }
    if (event.target.matches("select[data-go]")) location.href = event.target.value;
  });

  // Keys, which can be switched off in the list of keys (?).
  let chord = 0;
  const PLACES = { o: "overview", i: "items", s: "settings", m: "mapper", a: "activity", e: "issues", y: "system" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || kept.get("keys") === "off") return;
    if (event.target.closest("input, select, textarea, dialog")) return;
    const key = event.key;
    if (Date.now() - chord < 1500) {
      chord = 0;
      const link = one(`[data-place="${PLACES[key]}"]`);
      if (link) { event.preventDefault(); location.href = link.href; }
    } else if (key === "g") chord = Date.now();
    else if (key === "/" && one("[type=search]")) { event.preventDefault(); one("[type=search]").focus(); }
    else if (key === "r") { if (!isBusy()) refresh(); }
    else if (key === "t") { theme(root.dataset.theme === "dark" ? "light" : "dark"); kept.set("theme", root.dataset.theme); choose(); }
    else if (key === "?") one("#keys")?.showModal();
  });
  document.addEventListener("change", (event) => { if (event.target.id === "keys-on") kept.set("keys", event.target.checked ? "on" : "off"); });
  document.addEventListener("DOMContentLoaded", () => { const keys = one("#keys-on"); if (keys) keys.checked = kept.get("keys") !== "off"; });
})();
