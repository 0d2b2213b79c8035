/*
 * For user-mode Linux on processors whose registers are more than it knows of (AMX): since Linux 5.18 ptrace(2) takes a process's
 * registers whole or not at all, while linux.uml of the 6.1 series gives the first 2696 bytes. The rest is what it is already.
 * Preloaded into linux.uml, which has one thread.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

/* linux/elf.h */
#define NT_X86_XSTATE 0x202

/* Not on the stack: that kernel's are small. */
static char registers[1 << 16];

long ptrace(enum __ptrace_request request, ...)
{
    static long (*real)(enum __ptrace_request, ...);
    va_list list;
    va_start(list, request);
    long process = va_arg(list, long);
    void *what = va_arg(list, void *);
    void *data = va_arg(list, void *);
    va_end(list);
    if (!real)
        real = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
    if (request == PTRACE_SETREGSET && what == (void *)NT_X86_XSTATE) {
        struct iovec *given = data;
        struct iovec whole = {registers, sizeof registers};
        if (real(PTRACE_GETREGSET, process, what, &whole) == 0 && given->iov_len < whole.iov_len) {
            memcpy(registers, given->iov_base, given->iov_len);
            return real(request, process, what, &whole);
        }
    }
    return real(request, process, what, data);
}
