/* Ends an expansion of messages.def: no guard on purpose. */
#undef MSG
#undef GATE
#undef UNGATED
#undef F_U8
#undef F_U16
#undef F_U32
#undef F_U64
#undef F_STR
#undef F_TEXT
#undef F_PATH
#undef F_BLOB
#undef F_SECRET
