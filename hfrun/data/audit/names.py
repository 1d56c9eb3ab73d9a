"""The findings that there are, by name; the names are stable, since configs accept them."""

TEXT_FINDINGS = {
    "empty_part": "a part without texts",
    "unknown_labels": "a label that is none of the classes, or none at all",
    "constant_label": "a part in which every text has the same label, as hidden test labels do",
    "class_missing_from_train": "a class that is judged, and that train does not have",
    "duplicates_across_splits": "the same text in two parts",
    "near_duplicates_across_splits": "in two parts, texts that differ in case, punctuation, "
    "spaces, Unicode forms, or one word of at least eight",
    "similar_texts_across_splits": "in two parts, texts that share most of their words in order",
    "contradicting_labels": "one text with two labels",
    "label_shift": "classes are more or less frequent than in train",
    "class_missing_from_part": "a class of train that validation or test does not have",
    "few_texts_of_class": "a class with very few texts in train",
    "empty_texts": "texts of spaces alone",
    "overlong_texts": "texts far longer than the others",
    "truncated_texts": "texts of more tokens than data.max_length",
    "damaged_characters": "texts with the sign for characters that could not be decoded",
    "duplicates_within_split": "the same text more than once in a part",
    "near_duplicates_within_split": "near copies in one part",
    "similar_texts_within_split": "similar texts in one part",
}

BOOK_FINDINGS = {
    "overlapping_spans": "labels of an earlier part that end after a later part begins",
    "repeated_sessions": "two sessions whose books begin alike: a day imported twice",
    "constant_label": "a part in which every label is the same",
    "class_missing_from_train": "a class that is judged, and that train does not have",
    "missing_sessions": "weekdays (or days, for a market that never closes) without rows",
    "short_sessions": "sessions with less than half of the usual time",
    "unused_sessions": "sessions in which no part has a decision",
    "one_session_parts": "parts that lie within one session, in a book of several",
    "silences": "no rows inside a session for longer than a minute and a usual window",
    "constant_columns": "columns of the book that never change in train",
    "repeated_rows": "most rows repeat the row before",
    "input_shift": "what the model sees is distributed otherwise than in train",
    "label_shift": "classes are more or less frequent than in train",
    "decisions_without_label": "decisions of test whose label is not known",
}
