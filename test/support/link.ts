/** A process without other processes. */
import type { Link } from "../../src/link/line.ts";
import type { Announcement, Standing } from "../../src/store/records.ts";

/** Whoever is alone leads, or waits for ever. */
export const alone: Standing = {
  mayLead: () => true,
  onStandby: () => Promise.resolve(),
  onFreed: () => {},
};

export const noLink: Link = {
  dial: () => Promise.reject(new Error("there is no link")),
  serve: () => {},
  isFollowed: () => false,
};

export const nowhere: Announcement = { url: "here", port: 0, instance: "", link: "" };
