/** The shop's logo, for everybody to see. */
import { z } from "zod";
import type { Db } from "../store/db.ts";
import { findPicture } from "../store/pictures.ts";
import { namesTag } from "./compressed.ts";
import { queryOf, queryValue } from "./parse.ts";
import { problem } from "./problems.ts";
import type { Route } from "./server.ts";
import type { Appearance } from "./appearance.ts";

/** @param digest null: there is none */
export const logoAddress = (digest: string | null): string | null =>
  digest === null ? null : `/api/logo?v=${digest}`;

export const logoRoute = (db: Db, appearance: Appearance): Route => {
  let kept: { readonly digest: string; readonly bytes: Uint8Array<ArrayBuffer> } | null = null;
  return {
    path: "/api/logo",
    methods: {
      GET: {
        handle: async (request) => {
          const { logo } = await appearance.now();
          if (logo === null) return problem("not_found", { detail: "The shop has no logo." });
          if (kept?.digest !== logo) kept = await findPicture(db, logo);
          if (kept === null) return problem("not_found", { detail: "The shop has no logo." });
          const entityTag = `"${logo}"`;
          const isLasting = queryValue(queryOf(request.url), "v") === logo;
          const headers = {
            "Content-Type": "image/webp",
            "Cache-Control": isLasting
              ? "public, max-age=31536000, immutable"
              : "public, max-age=60",
            ETag: entityTag,
            "Content-Security-Policy": "default-src 'none'",
            "X-Content-Type-Options": "nosniff",
          };
          return namesTag(request.headers.get("If-None-Match"), entityTag)
            ? new Response(null, { status: 304, headers })
            : new Response(kept.bytes, { headers });
        },
        cost: "records",
        summary: "The shop's logo (WebP)",
        query: z.object({
          v: z.string().optional().describe("Which picture").meta({ example: "0a1b" }),
        }),
        answers: { 200: z.string(), 304: null },
        mediaType: "image/*",
        refusals: ["not_found"],
      },
    },
  };
};
