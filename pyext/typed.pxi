# Arithmetic, comparisons, conversions and selection on any of the library's types.

cdef extern from "typed.h" nogil:
    ctypedef enum cnn_type:
        CNN_BOOL
        CNN_U8
        CNN_I8
        CNN_U16
        CNN_I16
        CNN_U32
        CNN_I32
        CNN_U64
        CNN_I64
        CNN_F32
        CNN_F64

    ctypedef enum cnn_typed_op:
        CNN_OP_ADD
        CNN_OP_SUBTRACT
        CNN_OP_MULTIPLY
        CNN_OP_EQUAL
        CNN_OP_NOT_EQUAL
        CNN_OP_LESS
        CNN_OP_LESS_EQUAL
        CNN_OP_GREATER
        CNN_OP_GREATER_EQUAL
        CNN_OP_LOGICAL_AND
        CNN_OP_LOGICAL_OR
        CNN_OP_LOGICAL_XOR
        CNN_OP_MAXIMUM
        CNN_OP_MINIMUM
        CNN_OP_FLOOR_DIVIDE
        CNN_OP_MOD
        CNN_OP_DIVIDE
        CNN_OP_SIGN
        CNN_OP_NEGATIVE
        CNN_OP_ABSOLUTE
        CNN_OP_LOGICAL_NOT
        CNN_OP_ISNAN
        CNN_OP_ISINF
        CNN_OP_ISFINITE
        CNN_OP_FLOOR
        CNN_OP_CEIL
        CNN_OP_ROUND
        CNN_OP_SQRT
        CNN_OP_RSQRT
        CNN_OP_RECIPROCAL

    int64_t cnn_type_size(cnn_type type)
    void cnn_cast(cnn_type source, cnn_type target, int64_t n, const void *x, void *y)
    void cnn_typed_binary(cnn_type type, cnn_typed_op op, int64_t n, const void *a,
                          int64_t sa, const void *b, int64_t sb, void *y)
    void cnn_where(int64_t size, int64_t n, const unsigned char *c, int64_t sc,
                   const char *a, int64_t sa, const char *b, int64_t sb, char *y)
    void cnn_one_hot(cnn_type type, int64_t rows, int64_t classes,
                     const int64_t *labels, char *y)


cdef dict _TYPES = {
    "bool": CNN_BOOL, "uint8": CNN_U8, "int8": CNN_I8, "uint16": CNN_U16,
    "int16": CNN_I16, "uint32": CNN_U32, "int32": CNN_I32, "uint64": CNN_U64,
    "int64": CNN_I64, "float32": CNN_F32, "float64": CNN_F64,
}
cdef dict _TYPED_OPS = {
    "add": CNN_OP_ADD, "subtract": CNN_OP_SUBTRACT, "multiply": CNN_OP_MULTIPLY,
    "equal": CNN_OP_EQUAL, "not_equal": CNN_OP_NOT_EQUAL, "less": CNN_OP_LESS,
    "less_equal": CNN_OP_LESS_EQUAL, "greater": CNN_OP_GREATER,
    "greater_equal": CNN_OP_GREATER_EQUAL, "logical_and": CNN_OP_LOGICAL_AND,
    "logical_or": CNN_OP_LOGICAL_OR, "logical_xor": CNN_OP_LOGICAL_XOR,
    "maximum": CNN_OP_MAXIMUM, "minimum": CNN_OP_MINIMUM,
    "floor_divide": CNN_OP_FLOOR_DIVIDE, "mod": CNN_OP_MOD, "sign": CNN_OP_SIGN,
    "negative": CNN_OP_NEGATIVE, "absolute": CNN_OP_ABSOLUTE,
    "logical_not": CNN_OP_LOGICAL_NOT, "isnan": CNN_OP_ISNAN, "isinf": CNN_OP_ISINF,
    "isfinite": CNN_OP_ISFINITE, "floor": CNN_OP_FLOOR, "ceil": CNN_OP_CEIL,
    "round": CNN_OP_ROUND, "divide": CNN_OP_DIVIDE, "sqrt": CNN_OP_SQRT,
    "rsqrt": CNN_OP_RSQRT, "reciprocal": CNN_OP_RECIPROCAL,
}


# Casts, integer arithmetic, selection: c, a, b -> y.
cdef struct typed_task:
    cnn_type type
    cnn_type target
    cnn_typed_op op
    const char *c
    int64_t c_step
    const char *a
    int64_t a_step
    const char *b
    int64_t b_step
    char *y


cdef void _typed_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef typed_task *t = <typed_task *>ctx
    cdef int64_t size = cnn_type_size(t.type)
    cnn_typed_binary(t.type, t.op, end - i, t.a + i * t.a_step * size, t.a_step,
                     t.b + i * t.b_step * size, t.b_step,
                     t.y + i * cnn_type_size(t.target))


cdef void _cast_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef typed_task *t = <typed_task *>ctx
    cnn_cast(t.type, t.target, end - i, t.a + i * cnn_type_size(t.type),
             t.y + i * cnn_type_size(t.target))


cdef void _where_part(void *ctx, int64_t i, int64_t end) noexcept nogil:
    cdef typed_task *t = <typed_task *>ctx
    cdef int64_t size = cnn_type_size(t.type)
    cnn_where(size, end - i, <const unsigned char *>t.c + i * t.c_step, t.c_step,
              t.a + i * t.a_step * size, t.a_step,
              t.b + i * t.b_step * size, t.b_step, t.y + i * size)


cdef inline void run_typed(
    cnn_task_fn part, typed_task *task, int64_t n
) noexcept nogil:
    if n <= GRAIN:
        part(task, 0, n)
    else:
        cnn_parallel_for(n, GRAIN, part, task)
