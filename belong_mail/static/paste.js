// Turns what Google Docs, Word and web pages put on the clipboard into Markdown. It reads the HTML in
// a document of its own, where nothing is run, loaded or styled, and keeps headings, bold, italics,
// lists, links and tables, and pictures that are in it; how many it only names is told, and how many
// tables became paragraphs.
const SKIPPED = new Set(["HEAD", "STYLE", "SCRIPT", "TITLE", "TEMPLATE", "IMG", "SVG", "OBJECT", "IFRAME", "XML"]);
const BLOCKS = new Set(["P", "DIV", "LI", "TR", "TD", "TH", "BLOCKQUOTE", "PRE", "SECTION", "ARTICLE", "TABLE", "DT", "DD"]);
// What Word writes before an item, as words.
const MARK = /^\s*(?:[·•§▪o]|\(?[\da-z]{1,4}[.)])[\s\u00a0]{2,}/i;
const PLAIN = { bold: false, italic: false, href: "" };

// Without text where nothing would be lost without us.
export function markdownOf(html) {
  const body = parsed(html);
  const blocks = blocksOf(body);
  const images = [...body.querySelectorAll("img")];
  const files = images.map(fileOf).filter(Boolean);
  const isPlain = blocks.every((each) => each.kind === "p" && each.runs.every((run) => !run.bold && !run.italic && !run.href));
  const tables = [...body.querySelectorAll("table")].filter((each) => each.rows[0]?.cells.length > 1 && !isTable(each)).length;
  return { files, pictures: images.length - files.length, tables, text: isPlain ? "" : joined(blocks), isInline: blocks.length === 1 && blocks[0].kind === "p" };
}

function fileOf(image) {
  const [, type, data] = /^data:(image\/\w+);base64,([\w+/]+=*)$/.exec(image.getAttribute("src")) ?? [];
  return data && new File([Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0))], image.alt, { type });
}

function blocksOf(element) {
  const page = { blocks: [], block: null, list: { depth: 0, ordered: false, id: 0 }, lists: 0 };
  visit(element, page, PLAIN);
  close(page);
  return page.blocks;
}

// A table of words; what only arranges a page has one cell a row, or more in a cell than words.
function isTable(element) {
  return element.rows.length > 1 && !element.querySelector("table, ul, ol, h1, h2, h3, h4") && rowsOf(element)[0].length > 1;
}

// Merged cells have their words in the first, and leave the others empty.
function rowsOf(table) {
  const rows = [...table.rows].map(() => []);
  rows.forEach((row, y) => {
    for (const cell of table.rows[y].cells) {
      const at = [...row, undefined].indexOf(undefined);
      for (const each of rows.slice(y, y + cell.rowSpan)) {
        for (let x = at; x < at + cell.colSpan; x += 1) each[x] = "";
      }
      row[at] = blocksOf(cell).map(written).join(" ").replace(/\n/g, " ").replace(/\|/g, "\\|");
    }
  });
  const length = Math.max(...rows.map((row) => row.length));
  return rows.map((row) => Array.from({ length }, (_, x) => row[x] ?? ""));
}

function parsed(html) {
  const fragment = /<!--StartFragment-->([\s\S]*?)<!--EndFragment-->/i.exec(html);
  // Styles are read, never applied, and handlers never set: our pages forbid both.
  const harmless = (fragment ? fragment[1] : html)
    .replace(/<style\b[\s\S]*?<\/style\s*>/gi, "")
    .replace(/<[a-z][^>]*>/gi, (tag) => tag.replace(/([\s"'/])(style|on\w+)\s*=/gi, "$1 data-$2="));
  return new DOMParser().parseFromString(harmless, "text/html").body;
}

function visit(node, page, look) {
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) say(page, child.data, look);
    else if (child.nodeType === Node.ELEMENT_NODE) enter(child, page, look);
  }
}

function enter(element, page, look) {
  const name = element.tagName.toUpperCase();
  const style = element.dataset.style ?? "";
  if (SKIPPED.has(name) || element.classList.contains("Apple-interchange-newline")) return;
  const words = element.textContent;
  const isMark = page.block?.isWords && !page.block.runs.length && MARK.test(words) && !words.replace(MARK, "");
  if (isMark || /mso-list:\s*ignore/i.test(style)) {
    if (page.block) page.block.ordered = /^\s*\(?[\da-z]+[.)]/i.test(words);
  } else if (name === "TABLE" && isTable(element)) {
    close(page);
    page.blocks.push({ kind: "table", rows: rowsOf(element) });
  } else if (name === "BR") {
    say(page, "\n", look, true);
  } else if (name === "UL" || name === "OL") {
    const outer = page.list;
    close(page);
    page.lists += 1;
    page.list = { depth: outer.depth + 1, ordered: name === "OL", id: page.lists };
    visit(element, page, look);
    page.list = outer;
    close(page);
  } else {
    const made = blockOf(element, name, style, page);
    if (made) begin(page, made);
    else if (BLOCKS.has(name) && page.block?.runs.length) say(page, " ", PLAIN);
    visit(element, page, made?.kind === "h" ? { ...PLAIN, href: look.href } : looked(element, name, style, look));
    if (made) close(page);
  }
}

function blockOf(element, name, style, page) {
  const heading = /^H([1-6])$/.exec(name)?.[1] ?? (element.getAttribute("role") === "heading" && (element.getAttribute("aria-level") || "1"));
  if (heading) return { kind: "h", level: Math.min(Number(heading) + 1, 6), runs: [] };
  if (element.classList.contains("MsoTitle")) return { kind: "h", level: 2, runs: [] };
  const [, id, level] = /mso-list:\s*(\S+)\s+level(\d)/i.exec(style) ?? [];
  if (level) return { kind: "li", depth: Number(level), ordered: false, id, runs: [] };
  // WebKit takes Word's own styles out before a page sees them.
  if (/^MsoListParagraph/.test(element.className) && MARK.test(element.textContent)) {
    if (!/CxSp(Middle|Last)$/.test(element.className)) page.lists += 1;
    const [, margin, unit] = /margin-left:\s*([\d.]+)(in|pt)/.exec(style) ?? [];
    const depth = margin ? Math.round(unit === "in" ? margin * 2 : margin / 36) : 1;
    return { kind: "li", depth: depth || 1, ordered: false, id: page.lists, isWords: true, runs: [] };
  }
  if (name === "LI") {
    const depth = Number(element.dataset.ariaLevel || element.getAttribute("aria-level")) || page.list.depth || 1;
    return { kind: "li", depth, ordered: page.list.ordered, id: page.list.id, runs: [] };
  }
  if (!BLOCKS.has(name)) return null;
  // A paragraph within an item is the item's.
  return page.block?.kind === "li" ? null : { kind: "p", runs: [] };
}

function begin(page, made) {
  close(page);
  page.block = made;
}

function close(page) {
  if (page.block?.runs.some((run) => run.text.trim())) page.blocks.push(page.block);
  page.block = null;
}

function looked(element, name, style, look) {
  const found = { ...look };
  if (name === "B" || name === "STRONG") found.bold = true;
  if (name === "I" || name === "EM") found.italic = true;
  const weight = /(?:^|[;\s])font-weight:\s*(\w+)/i.exec(style)?.[1];
  if (weight) found.bold = /^bold/i.test(weight) || Number(weight) >= 600;
  const slant = /(?:^|[;\s])font-style:\s*(\w+)/i.exec(style)?.[1];
  if (slant) found.italic = /^(italic|oblique)/i.test(slant);
  if (name === "A") found.href = target(element.getAttribute("href") ?? "");
  return found;
}

// Where a link really leads; what no newsletter links to is left out.
function target(href) {
  try {
    const url = new URL(href.trim());
    const isWrapped = /(^|\.)google\.com$/.test(url.hostname) && url.pathname === "/url";
    if (isWrapped && url.searchParams.get("q")) return target(url.searchParams.get("q"));
    if (!["http:", "https:", "mailto:"].includes(url.protocol)) return "";
    return url.href.replace(/[()<>\s]/g, (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`);
  } catch {
    return "";
  }
}

function say(page, text, look, isBreak = false) {
  const words = isBreak ? text : text.replace(/[\s\u00a0]+/g, " ");
  if (!page.block) {
    if (!words.trim()) return;
    page.block = { kind: "p", runs: [] };
  }
  const { runs } = page.block;
  const last = runs.at(-1);
  const isSame = last && last.bold === look.bold && last.italic === look.italic && last.href === look.href;
  if (isSame) last.text += words;
  else runs.push({ ...look, text: words });
}

function joined(blocks) {
  // The lists that are open, outermost first: of each its name and its last number.
  let open = [];
  let text = "";
  for (const block of blocks) {
    const isItem = block.kind === "li";
    const at = block.depth - 1;
    const isNext = isItem && open.length > 0 && (at > 0 || open[0]?.id === block.id);
    text += text && (isNext ? "\n" : "\n\n");
    if (isItem) {
      const number = open[at]?.id === block.id ? open[at].number + 1 : 1;
      open = [...open.slice(0, at), { id: block.id, number }];
      text += `${"    ".repeat(open.length - 1)}${block.ordered ? `${number}.` : "-"} `;
    } else {
      open = [];
    }
    if (block.kind === "table") text += tableOf(block.rows);
    else text += (block.kind === "h" ? `${"#".repeat(block.level)} ` : "") + written(block);
  }
  return text;
}

// Its first row is the head.
function tableOf([head, ...rows]) {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function written(block) {
  const gap = block.kind === "p" ? "\n" : " ";
  const look = block.kind === "h" ? { bold: false, italic: false } : {};
  const runs = block.runs.map((run) => ({ ...run, ...look, text: run.text.replace(/ *\n */g, gap) }));
  const words = runs.map((run, at) => marked(run, runs[at - 1]?.text ?? "", runs[at + 1]?.text ?? "")).join("");
  return words.trim().replace(/ {2,}/g, " ").replace(/^(#{1,6})(?=\s)/gm, "\\$1");
}

function marked(run, before, after) {
  let [, head, inside, tail] = /^(\s*)([\s\S]*?)(\s*)$/.exec(run.text);
  if (!inside) return run.text;
  // Marks beside a letter must not stand on the inner side of a comma: they would stay as they are.
  if (run.bold || run.italic) {
    const end = !tail && /^[\p{L}\p{N}]/u.test(after) ? /[^\p{L}\p{N}]+$/u.exec(inside)?.[0] ?? "" : "";
    const start = !head && /[\p{L}\p{N}]$/u.test(before) ? /^[^\p{L}\p{N}]+/u.exec(inside)?.[0] ?? "" : "";
    if (start.length + end.length >= inside.length) return run.text;
    head += escaped(start);
    tail = escaped(end) + tail;
    inside = inside.slice(start.length, inside.length - end.length);
  }
  let words = escaped(inside, run.href);
  if (run.href && run.href !== inside && run.href !== `${inside}/`) words = `[${words}](${run.href})`;
  else if (run.href) words = run.href;
  if (run.italic) words = /[\p{L}\p{N}]$/u.test(before) && !head || /^[\p{L}\p{N}]/u.test(after) && !tail ? `*${words}*` : `_${words}_`;
  if (run.bold) words = `**${words}**`;
  return head + words.replace(/\n/g, run.bold || run.italic || run.href ? " " : "\n") + tail;
}

// Signs that were typed stay signs; {first_name} and [[buttons]](…) keep their meaning.
function escaped(text, isLink) {
  const marks = isLink ? /[\\*`[\]]/g : /[\\*`]/g;
  return text.replace(marks, "\\$&").replace(/([\p{L}\p{N}]?)_(?=([\p{L}\p{N}])?)/gu, (_all, before, after) => before && after ? `${before}_` : `${before}\\_`);
}
