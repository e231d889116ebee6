//! How large a regular expression is going to be, told from its text's tree alone.
//!
//! Size counts the bytes that are told apart, with repetitions written out and classes as wide as their ranges: roughly the states of the
//! automaton, a little more. Invariant: telling takes time that grows with the text, whatever its repetitions multiply to.

use regex_syntax::ast::Ast;
use regex_syntax::ast::ClassPerlKind;
use regex_syntax::ast::ClassSet;
use regex_syntax::ast::ClassSetItem;
use regex_syntax::ast::Flag;
use regex_syntax::ast::Flags;
use regex_syntax::ast::FlagsItemKind;
use regex_syntax::ast::GroupKind;
use regex_syntax::ast::RepetitionKind;
use regex_syntax::ast::RepetitionRange;

/// Size of a class of Unicode, such as letters or `\w`: hundreds of ranges.
const CLASS_SIZE: u64 = 400;
/// Size of the digits of Unicode.
const DIGIT_SIZE: u64 = 100;
/// Size of a class of few ranges: blanks, `.`, the inside of brackets.
const SMALL_SIZE: u64 = 16;

/// The size of what `tree` describes.
pub(super) fn of(tree: &Ast) -> u64 {
    of_tree(tree, disregards_case(tree))
}

/// Whether it disregards case anywhere; then it is counted as if it did so everywhere.
fn disregards_case(tree: &Ast) -> bool {
    let has_flag = |flags: &Flags| {
        flags.items.iter().any(|item| item.kind == FlagsItemKind::Flag(Flag::CaseInsensitive))
    };
    match tree {
        Ast::Flags(set) => has_flag(&set.flags),
        Ast::Repetition(repetition) => disregards_case(&repetition.ast),
        Ast::Group(group) => {
            matches!(&group.kind, GroupKind::NonCapturing(flags) if has_flag(flags))
                || disregards_case(&group.ast)
        }
        Ast::Alternation(list) => list.asts.iter().any(disregards_case),
        Ast::Concat(list) => list.asts.iter().any(disregards_case),
        _ => false,
    }
}

fn of_tree(tree: &Ast, folds: bool) -> u64 {
    match tree {
        Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) => 1,
        Ast::Literal(literal) => of_char(literal.c, folds),
        Ast::Dot(_) => SMALL_SIZE,
        Ast::ClassUnicode(_) => of_class(CLASS_SIZE, folds),
        Ast::ClassPerl(class) => of_perl(&class.kind, folds),
        Ast::ClassBracketed(class) => of_set(&class.kind, folds).saturating_add(1),
        Ast::Repetition(repetition) => {
            let once = of_tree(&repetition.ast, folds);
            match &repetition.op.kind {
                RepetitionKind::Range(range) => once.saturating_mul(times(range).max(1)),
                _ => once.saturating_add(1),
            }
        }
        Ast::Group(group) => of_tree(&group.ast, folds),
        Ast::Alternation(list) => sum(&list.asts, folds).saturating_add(1),
        Ast::Concat(list) => sum(&list.asts, folds),
    }
}

fn sum(trees: &[Ast], folds: bool) -> u64 {
    trees.iter().map(|tree| of_tree(tree, folds)).fold(0, u64::saturating_add)
}

fn times(range: &RepetitionRange) -> u64 {
    match range {
        RepetitionRange::Exactly(count) => u64::from(*count),
        RepetitionRange::AtLeast(count) => u64::from(*count) + 1,
        RepetitionRange::Bounded(_, most) => u64::from(*most),
    }
}

/// With its other cases, if it has any.
fn of_char(c: char, folds: bool) -> u64 {
    let bytes = c.len_utf8() as u64;
    if folds { bytes * 4 } else { bytes }
}

/// To fold a class is to look at all of its characters.
const fn of_class(size: u64, folds: bool) -> u64 {
    if folds { size * 2 } else { size }
}

fn of_perl(kind: &ClassPerlKind, folds: bool) -> u64 {
    match kind {
        ClassPerlKind::Digit => of_class(DIGIT_SIZE, folds),
        ClassPerlKind::Space => of_class(SMALL_SIZE, folds),
        ClassPerlKind::Word => of_class(CLASS_SIZE, folds),
    }
}

fn of_set(set: &ClassSet, folds: bool) -> u64 {
    match set {
        ClassSet::Item(item) => of_item(item, folds),
        ClassSet::BinaryOp(operation) => {
            of_set(&operation.lhs, folds).saturating_add(of_set(&operation.rhs, folds))
        }
    }
}

fn of_item(item: &ClassSetItem, folds: bool) -> u64 {
    match item {
        ClassSetItem::Empty(_) => 0,
        ClassSetItem::Literal(literal) => of_char(literal.c, folds) / 2,
        // To fold a range is to look at each of its characters.
        ClassSetItem::Range(range) if folds => {
            1 + u64::from(u32::from(range.end.c).saturating_sub(u32::from(range.start.c))) / 64
        }
        ClassSetItem::Range(range) if range.end.c.is_ascii() => 1,
        ClassSetItem::Range(_) => SMALL_SIZE,
        ClassSetItem::Ascii(_) => 1,
        ClassSetItem::Unicode(_) => of_class(CLASS_SIZE, folds),
        ClassSetItem::Perl(class) => of_perl(&class.kind, folds),
        ClassSetItem::Bracketed(class) => of_set(&class.kind, folds),
        ClassSetItem::Union(union) => {
            union.items.iter().map(|item| of_item(item, folds)).fold(0, u64::saturating_add)
        }
    }
}
