// What the system tells of a folder and Swift cannot ask for.
#ifndef CBEITFILESSHIM_H
#define CBEITFILESSHIM_H

#include <stdbool.h>

/// Whether names in the folder that differ in capitals alone are one file. False where the system does not say.
bool beitseg_folder_ignores_case(const char *folder);

#endif
