// The program; everything is in command_line.cc, which out-of-tree transports link as well.
#include "stress/command_line.h"

int main(int argc, char** argv) { return ipctorture::ipctorture_main(argc, argv); }
