#include "COneDNNShim.h"
