// Hides instruction sets from the process that preloads this library, so that a peer without a switch
// for it runs as on a lesser CPU: CPUID is made to fault, and answered with bits cleared.
// Linux on x86-64, where /proc/cpuinfo has the flag cpuid_fault. BENCHMARK_ISA is "avx2" (hides
// AVX-512, AVX-VNNI, AVX10 and AMX) or "base" (hides AVX and all that needs it as well).
//
//   cc -O2 -shared -fPIC cpuid.c -o cpuid.so

#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/// Bits to clear in EAX, EBX, ECX and EDX of one leaf and subleaf. The bits are of Intel's Software
/// Developer's Manual, volume 2A, CPUID.
struct Hidden {
  uint32_t leaf, subleaf, registers[4];
};

#define BIT(number) (1u << (number))

static const struct Hidden avx512[] = {
    {7, 0,
     {0,
      BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31),
      BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14),
      BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25)}},
    {7, 1, {BIT(4) | BIT(5) | BIT(21) | BIT(23), 0, 0, BIT(4) | BIT(5) | BIT(10) | BIT(19)}},
};
static const struct Hidden avx[] = {
    {1, 0, {0, 0, BIT(12) | BIT(28) | BIT(29), 0}},
    {7, 0, {0, BIT(5), BIT(9) | BIT(10), 0}},
};
static int hides_avx;

static void clear(const struct Hidden *hidden, int count, uint32_t leaf, uint32_t subleaf,
                  uint32_t registers[4]) {
  for (int i = 0; i < count; i++)
    // Leaf 1 has no subleaves, and callers leave anything in ECX.
    if (hidden[i].leaf == leaf && (leaf == 1 || hidden[i].subleaf == subleaf))
      for (int j = 0; j < 4; j++) registers[j] &= ~hidden[i].registers[j];
}

static void set_faulting(int on) { syscall(SYS_arch_prctl, ARCH_SET_CPUID, !on); }

/// Answers a CPUID that faulted; any other fault ends the process as it would have.
static void answer(int number, siginfo_t *information, void *context) {
  (void)information;
  greg_t *state = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *code = (const uint8_t *)state[REG_RIP];
  if (code[0] != 0x0f || code[1] != 0xa2) {
    signal(number, SIG_DFL);
    return;
  }
  const uint32_t leaf = (uint32_t)state[REG_RAX], subleaf = (uint32_t)state[REG_RCX];
  uint32_t registers[4];
  set_faulting(0);
  __asm__ volatile("cpuid"
                   : "=a"(registers[0]), "=b"(registers[1]), "=c"(registers[2]), "=d"(registers[3])
                   : "a"(leaf), "c"(subleaf));
  set_faulting(1);
  clear(avx512, sizeof avx512 / sizeof *avx512, leaf, subleaf, registers);
  if (hides_avx) clear(avx, sizeof avx / sizeof *avx, leaf, subleaf, registers);
  state[REG_RAX] = registers[0];
  state[REG_RBX] = registers[1];
  state[REG_RCX] = registers[2];
  state[REG_RDX] = registers[3];
  state[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide(void) {
  const char *isa = getenv("BENCHMARK_ISA");
  if (!isa) return;
  hides_avx = strcmp(isa, "base") == 0;
  struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  set_faulting(1);
}
