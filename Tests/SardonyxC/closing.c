/* Whether the library stays where it is when a program closes it, as its threads may still be running. */
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **arguments) {
  void *library = count == 2 ? dlopen(arguments[1], RTLD_NOW) : NULL;
  if (!library) {
    fprintf(stderr, "%s\n", count == 2 ? dlerror() : "expected the path of the library");
    return 2;
  }
  if (dlclose(library) != 0) return 2;
  return dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD) == NULL;
}
