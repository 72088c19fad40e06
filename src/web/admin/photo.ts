/** Pictures that may be given: see `http/admin/photos.ts`. */
export const photoBytesMax = 5 * 1024 ** 2;
export const photoTypes = "image/png,image/jpeg,image/webp,image/avif";
