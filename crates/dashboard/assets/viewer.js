// Puts the parts to work that the pages for everybody need. Without any of this they show the state at their loading.

import { watchCopying } from "./copy.js";
import { watchEvents } from "./live.js";
import { watchLinks } from "./refresh.js";
import { watchSelection } from "./selection.js";
import { watchTimes } from "./times.js";

watchTimes();
watchLinks();
watchCopying();
watchSelection();
watchEvents();
