/** Why a page is not answered, in words for whoever asked. */
export class Refusal extends Error {}
