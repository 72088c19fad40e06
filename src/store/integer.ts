/** The largest number of a column of type `integer`, such as an id of a sale or an item. */
export const integerMax = 2_147_483_647;
