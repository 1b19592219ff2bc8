// Calls the Mirth snippet as a Mirth channel does, inside Rhino (Mirth's JavaScript engine): text in, text out.
// arguments: snippet, message file, key file, header, charset, output file
load(arguments[0]);
var message = readFile(arguments[1], arguments[4]);
var signed = carebellSign(message, readFile(arguments[2], 'US-ASCII'), arguments[3], arguments[4]);
java.nio.file.Files.write(java.nio.file.Paths.get(arguments[5]), new java.lang.String(signed).getBytes(arguments[4]));
