/** What `stampede photo` does, without the rest of the program. */
import { developPhoto } from "../../src/art/photo-process.ts";

process.exit(await developPhoto());
