/** A file that is imported `with { type: "file" }` is its path. */
declare module "*.png" {
  const path: string;
  export default path;
}
declare module "*.jpg" {
  const path: string;
  export default path;
}
