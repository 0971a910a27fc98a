// nodemailer's pool, as a newsletter program would use it: each message built for its recipient.
// node pool.js PORT CONNECTIONS TEXT_FILE HTML_FILE MESSAGES; NODE_PATH names nodemailer's folder.
const { readFileSync } = require("node:fs");
const { createTransport } = require("nodemailer");

const [port, connections, textFile, htmlFile, messages] = process.argv.slice(2);
const text = readFileSync(textFile, "utf8");
const html = readFileSync(htmlFile, "utf8");
const pool = createTransport({
  host: "127.0.0.1",
  port: Number(port),
  ignoreTLS: true,
  pool: true,
  maxConnections: Number(connections),
  maxMessages: Infinity,
});
let begun = 0;

function letterTo(number) {
  const leave = `https://belong.example.org/leave/${Buffer.from(`member ${number}`).toString("base64url")}`;
  return {
    from: "DPS Belong <belong@example.org>",
    to: `member-${number}@example.org`,
    subject: "What the spring brings",
    text: `${text}\n${leave}\n`,
    html: html.replace("</body>", `<p><a href="${leave}">Leave</a></p></body>`),
    textEncoding: "quoted-printable",
    headers: {
      "List-Id": "<group.example.org>",
      "List-Unsubscribe": `<${leave}>`,
      "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    },
  };
}

async function sendOneByOne() {
  while (begun < Number(messages)) {
    begun += 1;
    await pool.sendMail(letterTo(begun));
  }
}

const senders = Array.from({ length: Number(connections) * 2 }, sendOneByOne);
Promise.all(senders).then(
  () => pool.close(),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
