/*
 * What sallyportd does besides serving: each is a word on the command line.
 * argv[0] is that word.  They return an enum sp_exit.
 */
#ifndef LISTENER_COMMANDS_H
#define LISTENER_COMMANDS_H

struct conf;
struct options;

/* Reads the configuration and prints every mistake. */
int command_check_config(const char *conf_path, int argc, char **argv);
/* Prints what holds, for the server or for one user and address, and where each value comes from. */
int command_show_config(const char *conf_path, int argc, char **argv);
/* Prints the tables of roles and system calls. */
int command_print_roles(const char *conf_path, int argc, char **argv);

/* serve DIR: makes the configuration of its arguments. 0 or an enum sp_exit, with the reason on stderr. */
int serve_configuration(struct conf *, int argc, char **argv);
/* Says on stderr that it serves now, how to connect, and what is lost without root. */
void serve_say(const struct conf *);

#endif
