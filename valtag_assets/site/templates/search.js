"use strict";
// Narrows the page to what holds every word that is typed, in either language.
const plain = (text) => text.normalize("NFKC").toLowerCase();
// A row tells more of what is an item elsewhere: it is narrowed, and not counted.
const items = [...document.querySelectorAll(".item, .row")].map((element) => [element, plain(element.dataset.search)]);
const boxes = [...document.querySelectorAll(".category, .cards, :is(#checks, #usefulness) :is(details, .wide)")];
const hits = document.getElementById("hits");
const input = document.getElementById("search");
const narrow = () => {
  const words = plain(input.value).split(/\s+/).filter(Boolean);
  const asked = words.length > 0;
  let found = 0;
  for (const [element, text] of items) {
    element.hidden = !words.every((word) => text.includes(word));
    found += element.hidden || element.matches(".row") ? 0 : 1;
  }
  for (const box of boxes) {
    box.hidden = asked && !box.querySelector(":is(.item, .row):not([hidden])");
    if (box.tagName === "DETAILS") box.open = asked && !box.hidden;
  }
  for (const heading of document.querySelectorAll(".group")) heading.hidden = heading.nextElementSibling.hidden;
  for (const element of document.querySelectorAll(".tree, #overview")) element.hidden = asked;
  hits.value = asked ? `${found} 项 found` : "";
};
input.addEventListener("input", narrow);
narrow();
