/** A sale as an event of a calendar: iCalendar (RFC 5545), for whoever wants to be there when it opens. */

/** Octets of a line, without its end; a longer one is folded. */
const lineOctetsMax = 75;
/** How long before the opening a calendar reminds of it. */
const reminder = "-PT5M";

/** A text as a value: what would end it, or be taken for structure, is escaped. */
const textValue = (text: string): string =>
  text.replaceAll(/[\\;,]/g, "\\$&").replaceAll(/\r\n|\r|\n/g, "\\n");

/** 20300131T120000Z */
const timeValue = (ms: number): string =>
  new Date(ms).toISOString().replaceAll(/[-:]|\.\d{3}/g, "");

/** No character is cut in two, and a line that goes on begins with a space. */
function folded(line: string): string {
  const parts: string[] = [];
  let part = "";
  let octets = 0;
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (octets + size > lineOctetsMax) {
      parts.push(part);
      part = " ";
      octets = 1;
    }
    part += character;
    octets += size;
  }
  return [...parts, part].join("\r\n");
}

/** As `/sales/{sale_id}` tells it. */
type Shown = {
  readonly id: number;
  readonly title: string;
  readonly kind: "hourly" | "product";
  readonly starts_at: string;
  readonly ends_at: string;
  readonly stock: number;
  readonly per_user_limit: number;
};

/**
 * @param origin of the shop, empty where it is not known: its host and the sale's number are the
 *   event's UID, which stays the same however often the file is taken and whatever is changed
 * @param now ms
 */
export function calendarOf(of: Shown, origin: string, now: number): string {
  const { id, title, kind, starts_at: starts, ends_at: ends } = of;
  const host = origin === "" ? "stampede" : new URL(origin).host;
  const page = `${origin}${kind === "hourly" ? "/" : "/shop"}`;
  const about = `${of.stock} to be had, up to ${of.per_user_limit} a person. ${page}`;
  const lines = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Stampede//Flash sales//EN",
    "METHOD:PUBLISH",
    "BEGIN:VEVENT",
    `UID:sale-${id}@${host}`,
    `DTSTAMP:${timeValue(now)}`,
    `DTSTART:${timeValue(Date.parse(starts))}`,
    `DTEND:${timeValue(Date.parse(ends))}`,
    `SUMMARY:${textValue(title)}`,
    `DESCRIPTION:${textValue(about)}`,
    `URL:${page}`,
    "TRANSP:TRANSPARENT",
    "BEGIN:VALARM",
    "ACTION:DISPLAY",
    `DESCRIPTION:${textValue(title)}`,
    `TRIGGER:${reminder}`,
    "END:VALARM",
    "END:VEVENT",
    "END:VCALENDAR",
  ];
  return lines.map((line) => `${folded(line)}\r\n`).join("");
}
