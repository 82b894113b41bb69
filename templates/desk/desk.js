// The desk's script. Everything works without it: it saves presses and shows sooner what a press would show.
(() => {
  "use strict";
  const WAIT = 400;
  const POLL = 2000;

  // A part of the page that changes by itself is fetched until it says that it is final.
  for (const part of document.querySelectorAll("[data-refresh]")) {
    const again = async () => {
      if (!document.hidden) {
        try {
          const answer = await fetch(part.dataset.refresh);
          if (answer.redirected) return;
          if (answer.ok) part.innerHTML = await answer.text();
          if (part.querySelector("[data-final]")) return location.reload();
        } catch { /* The next round asks again. */ }
      }
      setTimeout(again, POLL);
    };
    setTimeout(again, POLL);
  }

  // Comparisons are dragged to another place; the buttons do the same.
  for (const list of document.querySelectorAll("[data-reorder]")) {
    let dragged = null;
    const items = () => [...list.querySelectorAll(":scope > li")];
    for (const item of items()) item.draggable = true;
    list.addEventListener("dragstart", (event) => {
      dragged = event.target.closest("li");
      event.dataTransfer.effectAllowed = "move";
      dragged.classList.add("dragged");
    });
    list.addEventListener("dragover", (event) => {
      const over = event.target.closest("li");
      if (!dragged || !over) return;
      event.preventDefault();
      if (over === dragged) return;
      const box = over.getBoundingClientRect();
      list.insertBefore(dragged, event.clientY < box.top + box.height / 2 ? over : over.nextSibling);
    });
    list.addEventListener("drop", (event) => event.preventDefault());
    list.addEventListener("dragend", () => {
      const order = items().map((item) => item.dataset.slug).join(" ");
      dragged.classList.remove("dragged");
      dragged = null;
      if (order === list.dataset.seen) return;
      const post = document.createElement("form");
      post.method = "post";
      post.action = list.dataset.reorder;
      for (const [name, value] of [["seen", list.dataset.seen], ["order", order]]) {
        const field = document.createElement("input");
        field.type = "hidden";
        field.name = name;
        field.value = value;
        post.append(field);
      }
      document.body.append(post);
      post.submit();
    });
  }

  // A passkey: the browser asks its user, and the form brings the answer.
  const Key = window.PublicKeyCredential;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const way = form.dataset.passkey;
    const parse = Key && (way === "create" ? Key.parseCreationOptionsFromJSON : Key.parseRequestOptionsFromJSON);
    if (!parse) continue;
    for (const words of document.querySelectorAll("[data-unless-passkey]")) words.hidden = true;
    form.hidden = false;
    const problem = form.querySelector(".problem");
    const tell = (words) => { problem.textContent = words; problem.hidden = !words; };
    let waits = null;
    const ask = async (mediation) => {
      // A browser waits for one answer at a time.
      if (waits) waits.abort();
      const { signal } = waits = new AbortController();
      const answer = await fetch(form.dataset.options, { method: "POST" });
      if (!answer.ok || answer.redirected) return tell(answer.status === 429 ? "Too many attempts. Wait a minute." : "The desk does not answer. Load the page again.");
      const { ceremony, publicKey } = await answer.json();
      const key = await navigator.credentials[way]({ publicKey: parse.call(Key, publicKey), signal, mediation });
      form.elements.ceremony.value = ceremony;
      form.elements.credential.value = JSON.stringify(key);
      form.submit();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      tell("");
      ask().catch((error) => {
        if (error.name === "InvalidStateError") tell("This device has a passkey for you already.");
        else if (error.name !== "AbortError") tell("No passkey was used. Try again, or go another way.");
      });
    });
    // Passkeys beside the names that the browser fills in. A challenge is good for five minutes.
    const offer = () => ask("conditional").catch(() => {});
    if ("conditional" in form.dataset && Key.isConditionalMediationAvailable) {
      Key.isConditionalMediationAvailable().then((is) => { if (is) { offer(); setInterval(offer, 240000); } });
    }
  }

  // A record that is to be published elsewhere is copied by a press.
  for (const field of document.querySelectorAll("input[data-copy]")) {
    const button = document.createElement("button");
    const name = field.labels[0].textContent;
    const say = (words) => { button.textContent = words; };
    button.type = "button";
    button.className = "plain";
    button.setAttribute("aria-live", "polite");
    button.title = "Copy " + name;
    say("Copy");
    button.addEventListener("click", async () => {
      field.select();
      try {
        // Browsers have a clipboard for scripts only on https and localhost.
        if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
        else if (!document.execCommand("copy")) throw new Error();
        say("Copied");
      } catch { say("Press Ctrl+C"); }
    });
    field.after(button);
  }

  // A long list to choose from gets a field that narrows it.
  for (const list of document.querySelectorAll("select[data-narrow]")) {
    const all = [...list.options];
    const label = list.labels[0];
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "part of the name";
    field.setAttribute("aria-label", label.textContent + ": part of the name");
    field.addEventListener("input", () => {
      const part = field.value.trim().toLowerCase();
      const chosen = list.value;
      const fitting = all.filter((one) => one.text.toLowerCase().includes(part) && one.value);
      list.replaceChildren(...(part ? fitting : all));
      const has = [...list.options].some((one) => one.value === chosen);
      list.value = has && chosen ? chosen : part && fitting.length ? fitting[0].value : "";
      if (!list.options.length) list.add(new Option("no tool is called so", ""));
    });
    // Enter in it would send the form half filled.
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); list.focus(); } });
    list.before(field);
  }

  // The server's clock beside this machine's, which signs nothing and is wrong more often than people think.
  for (const line of document.querySelectorAll("[data-clock]")) {
    const ahead = (line.dataset.clock - Date.now()) / 1000;
    line.querySelector("dd").textContent = ahead.toFixed(1) + " s, give or take the way here";
    line.hidden = false;
  }

  const form = document.querySelector("form[data-guard]");
  if (!form) return;

  // Changes that are not saved: the browser asks before they are lost.
  const state = () => new URLSearchParams(new FormData(form)).toString();
  let kept = state();
  let leaving = false;
  addEventListener("beforeunload", (event) => {
    if (!leaving && state() !== kept) event.preventDefault();
  });
  form.addEventListener("submit", (event) => {
    leaving = !(event.submitter && event.submitter.hasAttribute("data-live"));
  });
  addEventListener("pageshow", () => { leaving = false; });
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  // Marks like {pair} become buttons that put them where the cursor is.
  for (const marks of document.querySelectorAll(".marks")) {
    const field = document.getElementById(marks.dataset.for);
    for (const code of marks.querySelectorAll("code")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "chip";
      button.textContent = code.textContent;
      button.setAttribute("aria-label", "Insert " + code.textContent);
      button.addEventListener("click", () => {
        field.setRangeText(code.textContent, field.selectionStart, field.selectionEnd, "end");
        field.focus();
        field.dispatchEvent(new Event("input", { bubbles: true }));
      });
      code.replaceWith(button);
    }
  }

  // Counts, the line of an inbox and the mail follow what is typed.
  const live = form.querySelector("[data-live]");
  const line = document.getElementById("line");
  let timer = 0;
  let asked = 0;
  const look = async () => {
    const number = ++asked;
    const body = new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch(form.dataset.line, { method: "POST", body });
      if (answer.ok && number === asked) line.innerHTML = await answer.text();
    } catch { /* The next change asks again. */ }
    const frame = document.querySelector("iframe[name=mail]");
    if (!frame || number !== asked) return;
    // A new frame each time: a mail that replaced another would be a step back for the browser's button.
    const top = frame.cloneNode(false);
    top.removeAttribute("src");
    frame.replaceWith(top);
    form.requestSubmit(live);
  };
  form.addEventListener("input", (event) => {
    const count = form.querySelector(`.count[data-for="${event.target.id}"]`);
    if (count) count.textContent = [...event.target.value].length + " of " + event.target.maxLength;
    if (!form.dataset.line) return;
    clearTimeout(timer);
    timer = setTimeout(look, WAIT);
  });
  if (live) live.hidden = true;
})();
