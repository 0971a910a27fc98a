// Adds pictures to a text where the cursor is. Photographs are made small here, before they leave.
const KINDS = ["image/jpeg", "image/png", "image/webp"];
// Octets and pixels of the longer side that leave as they are; more is made smaller.
const SMALL = 1_000_000;
const SIDE = 2400;
const QUALITY = 0.85;

export function pictureAdder(form, said, insert) {
  const input = Object.assign(document.createElement("input"), { type: "file", accept: KINDS.join(), multiple: true, hidden: true });
  let chosenFor = null;
  document.body.append(input);
  input.addEventListener("change", async () => {
    await add(chosenFor, [...input.files]);
    input.value = "";
  });

  async function add(area, files) {
    let first = "";
    let problem = "";
    for (const file of files) {
      said.textContent = said.dataset.adding;
      const { source, ...told } = await send(file);
      problem = told.problem ?? "";
      if (!source) break;
      leaveBrackets(area);
      insert(area, source);
      first ||= source;
    }
    said.textContent = problem || (first && said.dataset.describe);
    // Between the brackets, where its description goes.
    const at = first ? area.value.indexOf(first) + "![".length : -1;
    if (at > 1) area.setSelectionRange(at, at);
    if (!problem) area.addEventListener("input", () => { said.textContent = ""; }, { once: true });
  }

  // Whoever describes one picture and adds another wants it behind the first.
  function leaveBrackets(area) {
    const rest = /^[^\][\n]*\]\(picture:[\w-]+\)/.exec(area.value.slice(area.selectionEnd));
    const end = area.selectionEnd + (rest?.[0].length ?? 0);
    if (rest) area.setSelectionRange(end, end);
  }

  async function send(file) {
    const body = new FormData();
    body.append("csrf_token", form.elements.csrf_token.value);
    body.append("description", file.name.replace(/\.\w+$/, "").trim().slice(0, 300) || "–");
    body.append("picture", await smaller(file), "picture");
    const answer = await fetch(form.dataset.pictures, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
    if (answer?.status === 413) return { problem: said.dataset.large };
    const isOurs = answer && !answer.redirected && answer.headers.get("Content-Type") === "application/json";
    return isOurs ? answer.json() : { problem: said.dataset.lost };
  }

  return {
    add,
    choose(area) {
      chosenFor = area;
      input.click();
    },
  };
}

// An element, not a bitmap, turns photographs the right way in every browser. What it cannot show
// leaves as it is, and the answer says why it is not taken.
async function smaller(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    const share = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight));
    if (share === 1 && file.size <= SMALL && KINDS.includes(file.type)) return file;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.naturalWidth * share));
    canvas.height = Math.max(1, Math.round(image.naturalHeight * share));
    const pen = canvas.getContext("2d");
    pen.fillStyle = "white";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    return (await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY))) ?? file;
  } catch {
    return file;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}
