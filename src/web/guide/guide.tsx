/** A page of the guide: all of its text stands there already, and what every page has comes to it. */
import { mountFrame } from "../layout.tsx";

mountFrame();
