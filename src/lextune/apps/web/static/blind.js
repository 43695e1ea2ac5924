// Keys for the page of blind review: an element with data-keys="1 ArrowLeft" is pressed by these keys.
"use strict";

const OFF = "lextune-blind-keys-off";
const FIELDS = "input:not([type=checkbox]), textarea";
let sent = false;

const toggle = document.getElementById("keys-on");
if (toggle) {
  toggle.checked = !localStorage.getItem(OFF);
  toggle.closest(".script").hidden = false;
  toggle.addEventListener("change", () => {
    if (toggle.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  });
}

document.addEventListener("submit", (event) => {
  if (sent) event.preventDefault(); // a key pressed twice is one choice
  sent = true;
});
window.addEventListener("pageshow", () => { sent = false; });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.isComposing) return;
  if (event.target.matches(FIELDS)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (toggle && !toggle.checked) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  for (const element of document.querySelectorAll("[data-keys]")) {
    if (!element.dataset.keys.split(" ").includes(key)) continue;
    event.preventDefault();
    if (element.matches(FIELDS)) element.focus();
    else element.click();
    return;
  }
});
