/** A parsed template: statements and expressions as Jinja's grammar has them. */
export type Statement =
  | { readonly kind: 'output'; readonly expressions: readonly Expression[] }
  | {
      readonly kind: 'for';
      readonly target: Target;
      readonly iterable: Expression;
      readonly test: Expression | undefined;
      readonly isRecursive: boolean;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  | {
      readonly kind: 'if';
      readonly branches: readonly { readonly test: Expression; readonly body: readonly Statement[] }[];
      readonly otherwise: readonly Statement[];
    }
  | { readonly kind: 'set'; readonly target: Target; readonly value: Expression }
  | {
      readonly kind: 'set-block';
      readonly target: Target;
      readonly filter: Expression | undefined;
      readonly body: readonly Statement[];
    }
  | { readonly kind: 'macro'; readonly macro: MacroDefinition }
  | { readonly kind: 'call'; readonly call: Expression; readonly caller: MacroDefinition }
  | { readonly kind: 'filter'; readonly filter: Expression; readonly body: readonly Statement[] }
  | {
      readonly kind: 'with';
      readonly assignments: readonly { readonly target: Target; readonly value: Expression }[];
      readonly body: readonly Statement[];
    }
  /** `{% block %}` and `{% generation %}`: a scope of its own, printed where it stands. */
  | { readonly kind: 'scope'; readonly body: readonly Statement[] }
  /** A tag that would load another template, of which there is none: it fails where it is reached. */
  | { readonly kind: 'load'; readonly tag: string }
  | { readonly kind: 'break' }
  | { readonly kind: 'continue' };

export interface MacroDefinition {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly default: Expression | undefined }[];
  readonly body: readonly Statement[];
}

/** What can be assigned to. */
export type Target =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'namespace'; readonly name: string; readonly attribute: string }
  | { readonly kind: 'tuple'; readonly items: readonly Target[] };

export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**';
export type CompareOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

export interface ArgumentList {
  readonly positional: readonly Expression[];
  readonly keyword: readonly { readonly name: string; readonly value: Expression }[];
  readonly spread: Expression | undefined;
  readonly keywordSpread: Expression | undefined;
}

export type Expression =
  | { readonly kind: 'const'; readonly value: null | boolean | bigint | number | string }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'tuple'; readonly items: readonly Expression[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: 'attribute'; readonly object: Expression; readonly name: string }
  | { readonly kind: 'item'; readonly object: Expression; readonly index: Expression }
  | {
      readonly kind: 'slice';
      readonly start: Expression | undefined;
      readonly stop: Expression | undefined;
      readonly step: Expression | undefined;
    }
  | { readonly kind: 'call'; readonly callee: Expression; readonly args: ArgumentList }
  | {
      readonly kind: 'filter';
      readonly name: string;
      /** Undefined in `{% filter %}` and `{% set %}`, whose text it takes. */
      readonly operand: Expression | undefined;
      readonly args: ArgumentList;
    }
  | {
      readonly kind: 'test';
      readonly name: string;
      readonly operand: Expression;
      readonly args: ArgumentList;
    }
  | { readonly kind: 'not'; readonly operand: Expression }
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | {
      readonly kind: 'if';
      readonly test: Expression;
      readonly value: Expression;
      readonly otherwise: Expression | undefined;
    }
  | { readonly kind: 'sign'; readonly isNegative: boolean; readonly operand: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: 'concat'; readonly parts: readonly Expression[] }
  | {
      readonly kind: 'compare';
      readonly first: Expression;
      readonly rest: readonly { readonly operator: CompareOperator; readonly operand: Expression }[];
    };

export const NO_ARGUMENTS: ArgumentList = {
  positional: [],
  keyword: [],
  spread: undefined,
  keywordSpread: undefined,
};
