// The floors of the house: arrows only go down. See docs/architecture.md.
const capability = "(models/[^/]+|quantum|environments)";
/** What each capability may use of the others, always through their index.ts. */
const neighbours = {
  "models/datasets": [],
  "models/tracking": [],
  "models/registry": ["models/tracking"],
  "models/training": ["models/tracking", "models/registry", "models/datasets"],
  "models/serving": ["models/registry", "models/datasets"],
  "models/monitoring": ["models/serving", "models/datasets", "models/registry"],
  "models/transfer": ["models/tracking", "models/registry"],
  quantum: ["models/tracking"],
  environments: [],
};
/** Rooms of single functions, which nothing has to hide: each file is its own face. */
const facelessRooms = ["^shared/azure-storage/"];

/** Who asks is part of each call, while identity has routes itself: http takes the words alone, or the two form a circle. */
const callers = "^shared/identity/actor\\.ts$";

module.exports = {
  forbidden: [
    {
      name: "no-circles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "shared-knows-nobody",
      severity: "error",
      from: { path: "^shared/" },
      to: { path: `^(${capability}/|platform\\.ts|server/|functions/)` },
    },
    {
      name: "clients-know-nobody",
      severity: "error",
      from: { path: "^clients/" },
      to: { path: `^(${capability}/|shared/|platform\\.ts|server/|functions/)` },
    },
    {
      name: "clients-depend-on-zod-alone",
      severity: "error",
      from: { path: "^clients/" },
      to: { dependencyTypesNot: ["local", "type-only", "undetermined"], pathNot: "node_modules/zod/" },
    },
    {
      name: "only-transfers-use-clients",
      severity: "error",
      from: {
        path: `^(${capability}/|shared/|platform\\.ts|server/|functions/)`,
        pathNot: "^models/transfer/",
      },
      to: { path: "^clients/" },
    },
    {
      name: "capabilities-do-not-look-up",
      severity: "error",
      from: { path: `^${capability}/` },
      to: { path: "^(platform\\.ts|server/|functions/)" },
    },
    {
      name: "platform-does-not-look-up",
      severity: "error",
      from: { path: "^platform\\.ts" },
      to: { path: "^(server|functions)/" },
    },
    {
      name: "doors-go-through-the-platform",
      severity: "error",
      from: { path: "^(server|functions)/" },
      to: { path: `^${capability}/` },
    },
    {
      name: "neighbours-meet-at-the-face",
      severity: "error",
      from: { path: "^(models/[^/]+|quantum|environments)/" },
      to: { path: `^${capability}/`, pathNot: ["^$1/", "/index\\.ts$"] },
    },
    {
      name: "platform-meets-capabilities-at-the-face",
      severity: "error",
      from: { path: "^platform\\.ts" },
      to: { path: `^${capability}/`, pathNot: "/index\\.ts$" },
    },
    {
      name: "shared-rooms-are-entered-at-the-face",
      severity: "error",
      from: { path: "^(models|quantum|environments|server|functions|platform\\.ts)" },
      to: { path: "^shared/[^/]+/", pathNot: ["^shared/[^/]+/index\\.ts$", ...facelessRooms] },
    },
    {
      name: "shared-rooms-meet-at-the-face",
      severity: "error",
      from: { path: "^shared/([^/]+)/" },
      to: {
        path: "^shared/[^/]+/",
        pathNot: ["^shared/$1/", "^shared/[^/]+/index\\.ts$", ...facelessRooms, callers],
      },
    },
    ...Object.entries(neighbours).map(([from, allowed]) => ({
      name: `${from.replace("models/", "")}-may-use-only-its-neighbours`,
      severity: "error",
      from: { path: `^${from}/` },
      to: { path: `^${capability}/`, pathNot: [from, ...allowed].map((name) => `^${name}/`) },
    })),
    {
      name: "product-code-does-not-use-tests",
      severity: "error",
      from: { pathNot: "^(test|bench|examples|tools)/" },
      to: { path: "^(test|bench|tools)/" },
    },
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(node_modules|dist|console|\\.[^/]+)/" },
    enhancedResolveOptions: { extensions: [".ts", ".mjs", ".cjs", ".js"] },
  },
};
